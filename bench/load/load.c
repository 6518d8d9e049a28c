// SPDX-License-Identifier: MIT
#include "bench/load/load.h"
#include "core/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEND_BUFFER = 4 << 20 }; // octets

uint64_t load_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * LOAD_NS_A_SECOND + (uint64_t)time.tv_nsec;
}

void load_query_make(struct load_query *query, size_t number)
{
    char label[24];
    int len = snprintf(label, sizeof label, "n%zu", number);
    static const uint8_t rest[] = "\5bench\7example\0\0\1\0\1"; // and the literal's own zero
    memset(query->bytes, 0, sizeof query->bytes);
    query->bytes[2] = 1; // RD
    query->bytes[5] = 1;
    query->bytes[12] = (uint8_t)len;
    memcpy(query->bytes + 13, label, (size_t)len);
    memcpy(query->bytes + 13 + len, rest, sizeof rest - 1);
    query->len = 13 + (size_t)len + sizeof rest - 1;
}

static bool target_parse(struct sockaddr_in *to, const char *text)
{
    struct address address;
    if (!address_parse(&address, text, strlen(text), 53) || address.family != ADDRESS_IPV4)
        return false;
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address.port)};
    memcpy(&to->sin_addr, address.ip, sizeof to->sin_addr);
    return true;
}

bool load_order_parse(struct load_order *order, char *const *argv, int argc, int argc_wanted)
{
    if (argc != argc_wanted || !target_parse(&order->to, argv[1]))
        return false;
    order->rate = strtod(argv[2], NULL);
    order->seconds = strtod(argv[3], NULL);
    order->names = strtoul(argv[4], NULL, 10);
    return order->rate >= 1 && order->seconds > 0 && order->names > 0;
}

int load_socket_open(const struct sockaddr_in *to, int receive_buffer)
{
    int send_buffer = SEND_BUFFER, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}
