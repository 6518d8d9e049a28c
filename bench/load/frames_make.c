// SPDX-License-Identifier: MIT
#include "bench/load/frames_make.h"

#include "core/wire/bytes.h"
#include "core/wire/inet_sum.h"
#include "core/wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAC_LEN = 6,
    ETHERNET_LEN = 14,
    IPV4_LEN = 20,
    IPV6_LEN = 40,
    UDP_LEN = 8,
    UDP = 17,
    HOPS = 64,
    UDP_SIZE = 1232,
    LINE_MAX_LEN = 300,
    PADDING_MAX = 40, // octets behind a packet, less than what any server minds
};

static bool is_ipv6(const struct frames_form *form)
{
    return form->to.family == ADDRESS_IPV6;
}

// Returns the length of the query in this line, or 0 where it is none.
static size_t query_make(uint8_t *out, size_t room, char *line, size_t number)
{
    char text[LINE_MAX_LEN], type[8], more[4] = "";
    struct name name;
    uint8_t message[UPSTREAM_QUERY_MAX];
    if (sscanf(line, "%299s %7s %3s", text, type, more) < 2 ||
        !name_parse(&name, text, strlen(text)))
        return 0;
    size_t len =
        upstream_query_write(message, &(struct upstream_query){
                                          .name = name.bytes,
                                          .name_len = (uint8_t)name.len,
                                          .id = (uint16_t)number,
                                          .type = strcmp(type, "TXT") == 0 ? TYPE_TXT : TYPE_A,
                                          .class = CLASS_IN,
                                          .udp_size = more[0] == 'E' ? UDP_SIZE : 0,
                                      });
    if (len > room)
        return 0;
    memcpy(out, message, len);
    return len;
}

static void ip_write(uint8_t *ip, const struct frames_form *form, size_t udp_len)
{
    if (is_ipv6(form)) {
        ip[0] = 0x60;
        store_be16(ip + 4, (uint16_t)udp_len);
        ip[6] = UDP;
        ip[7] = HOPS;
        memcpy(ip + 8, form->from.ip, 16);
        memcpy(ip + 24, form->to.ip, 16);
        return;
    }
    ip[0] = 0x45;
    store_be16(ip + 2, (uint16_t)(IPV4_LEN + udp_len));
    ip[8] = HOPS;
    ip[9] = UDP;
    memcpy(ip + 12, form->from.ip, 4);
    memcpy(ip + 16, form->to.ip, 4);
    store_be16(ip + 10, (uint16_t)~inet_sum(ip, IPV4_LEN));
}

static void udp_write(uint8_t *udp, const struct frames_form *form, size_t len, size_t number)
{
    size_t octets = is_ipv6(form) ? 16 : 4;
    store_be16(udp, (uint16_t)(FRAMES_PORT + number % FRAMES_PORTS));
    store_be16(udp + 2, form->to.port);
    store_be16(udp + 4, (uint16_t)len);
    uint32_t sum = UDP + (uint32_t)len + inet_sum(form->from.ip, octets) +
                   inet_sum(form->to.ip, octets) + inet_sum(udp, len);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    store_be16(udp + 6, sum == 0xffff ? 0xffff : (uint16_t)~sum); // RFC 768: never sent as zero
}

// Returns its length, or 0 where the line is no question or too long a one.
static size_t frame_make(struct frame *frame, const struct frames_form *form, char *line,
                         size_t number)
{
    uint8_t *ethernet = (uint8_t *)frame->words, *ip = ethernet + ETHERNET_LEN;
    uint8_t *udp = ip + (is_ipv6(form) ? IPV6_LEN : IPV4_LEN), *dns = udp + UDP_LEN;
    size_t len = query_make(dns, (size_t)(ethernet + sizeof *frame - dns), line, number);
    if (len == 0)
        return 0;
    memcpy(ethernet, form->to_mac, MAC_LEN);
    memcpy(ethernet + MAC_LEN, form->from_mac, MAC_LEN);
    store_be16(ethernet + 2 * MAC_LEN, is_ipv6(form) ? 0x86dd : 0x0800);
    ip_write(ip, form, UDP_LEN + len);
    udp_write(udp, form, UDP_LEN + len, number);
    return (size_t)(dns - ethernet) + len;
}

static const char *lines_read(struct frames *frames, const struct frames_form *form, FILE *file)
{
    char line[LINE_MAX_LEN];
    size_t room = 0, shortest = sizeof(struct frame);
    while (fgets(line, sizeof line, file)) {
        if (frames->count == room) {
            room = room ? 2 * room : 1024;
            struct frame *more = realloc(frames->frame, room * sizeof *more);
            if (!more)
                return "out of memory";
            frames->frame = more;
        }
        struct frame *frame = &frames->frame[frames->count];
        *frame = (struct frame){0};
        size_t len = frame_make(frame, form, line, frames->count++);
        if (len == 0)
            return "a line is no question, or its name is too long";
        frames->len = len > frames->len ? len : frames->len;
        shortest = len < shortest ? len : shortest;
    }
    frames->len = (frames->len + 7) / 8 * 8; // the program copies words
    return frames->count == 0                     ? "there are no questions"
           : frames->len - shortest > PADDING_MAX ? "names differ too much in length"
                                                  : NULL;
}

const char *frames_make(struct frames *frames, const struct frames_form *form, const char *path)
{
    *frames = (struct frames){0};
    FILE *file = fopen(path, "r");
    if (!file)
        return "the file of questions cannot be read";
    const char *wrong = lines_read(frames, form, file);
    fclose(file);
    return wrong;
}
