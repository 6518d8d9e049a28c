// SPDX-License-Identifier: MIT
// More queries a second than any server answers, from one thread: the kernel cuts a datagram of
// many queries into as many packets (UDP segmentation), and of the answers, which are more than a
// thread could read at the same time, it counts those that come in at the interface.
//
//   flood ADDRESS:PORT RATE SECONDS NAMES INTERFACE
//
// asks names of n0.bench.example and on, below NAMES, of one length as packets have to be, and
// prints one line: queries sent, packets that came in meanwhile, answers read (one now and then),
// and how many of these were good (NOERROR with records). The interface has to be this load's own.
#include "bench/load/load.h"
#include "core/wire/bytes.h"
#include "core/wire/message.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PORTS = 16,
    SEGMENTS = 32, // queries a datagram; the kernel takes 64
    TRAINS = 64,   // datagrams made before the first is sent
    TRAIN_MAX = SEGMENTS * LOAD_QUERY_MAX,
    RECEIVE_BUFFER = 16384, // octets, so few that what is read has not lain there for long
};

struct train {
    uint8_t bytes[TRAIN_MAX];
    size_t len;
};

struct flood {
    int fds[PORTS];
    struct train trains[TRAINS];
    uint64_t sent, read, good;
};

// The first of the names with the most digits: nine of ten have as many.
static size_t first_name(size_t names)
{
    size_t first = 0;
    for (size_t power = 10; power < names; power *= 10)
        first = power;
    return first;
}

static size_t trains_make(struct flood *f, size_t names)
{
    struct load_query query = {0};
    size_t first = first_name(names), number = first;
    for (size_t i = 0; i < TRAINS; i++)
        for (size_t j = 0; j < SEGMENTS; j++) {
            load_query_make(&query, number);
            store_be16(query.bytes, (uint16_t)(i * SEGMENTS + j));
            memcpy(f->trains[i].bytes + f->trains[i].len, query.bytes, query.len);
            f->trains[i].len += query.len;
            number = number + 1 < names ? number + 1 : first;
        }
    return query.len;
}

// Packets that an interface has taken in. Ends the program if there is no such interface.
static uint64_t packets_in(const char *interface)
{
    char path[128];
    unsigned long long packets;
    snprintf(path, sizeof path, "/sys/class/net/%s/statistics/rx_packets", interface);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%llu", &packets) != 1) {
        fprintf(stderr, "flood: %s: %s\n", interface, strerror(errno));
        exit(1);
    }
    fclose(file);
    return packets;
}

static void answer_look(struct flood *f, int fd)
{
    uint8_t bytes[512];
    ssize_t len = recv(fd, bytes, sizeof bytes, 0);
    if (len < MESSAGE_HEADER_LEN)
        return;
    f->read++;
    bool answer = bytes[2] & HEADER_QR, fine = (bytes[3] & HEADER_RCODE) == RCODE_NOERROR;
    f->good += answer && fine && load_be16(bytes + 6) > 0;
}

static bool run(struct flood *f, double rate, double seconds)
{
    uint64_t begin_ns = load_now_ns();
    for (unsigned turn = 0;; turn++) {
        double passed = (double)(load_now_ns() - begin_ns) / LOAD_NS_A_SECOND;
        if (passed >= seconds)
            return true;
        if ((double)f->sent >= rate * passed)
            continue;
        int fd = f->fds[turn % PORTS];
        const struct train *train = &f->trains[turn % TRAINS];
        if (send(fd, train->bytes, train->len, 0) == (ssize_t)train->len)
            f->sent += SEGMENTS;
        else if (errno != EAGAIN && errno != ENOBUFS)
            return false;
        answer_look(f, fd);
    }
}

// Returns 0 or a negative errno.
static int sockets_open(struct flood *f, const struct sockaddr_in *to, size_t query_len)
{
    int segment = (int)query_len;
    for (unsigned i = 0; i < PORTS; i++) {
        f->fds[i] = load_socket_open(to, RECEIVE_BUFFER);
        if (f->fds[i] < 0)
            return f->fds[i];
        if (setsockopt(f->fds[i], SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0)
            return -errno;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct flood f;
    struct load_order order;
    if (!load_order_parse(&order, argv, argc, 6)) {
        fprintf(stderr, "usage: %s ADDRESS:PORT RATE SECONDS NAMES INTERFACE\n", argv[0]);
        return 2;
    }
    int error = sockets_open(&f, &order.to, trains_make(&f, order.names));
    if (error < 0) {
        fprintf(stderr, "%s: no sockets: %s\n", argv[0], strerror(-error));
        return 1;
    }
    uint64_t before = packets_in(argv[5]);
    if (!run(&f, order.rate, order.seconds)) {
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        return 1;
    }
    printf("%llu %llu %llu %llu\n", (unsigned long long)f.sent,
           (unsigned long long)(packets_in(argv[5]) - before), (unsigned long long)f.read,
           (unsigned long long)f.good);
    return 0;
}
