// SPDX-License-Identifier: MIT
// Load in an open loop: queries leave at the moments of a steady rate whether or not answers have
// come, and an answer's time counts from the moment its query was to leave, not from when it did.
// So a server that stalls is charged for all that it kept waiting (no coordinated omission).
//
//   pace ADDRESS:PORT RATE SECONDS NAMES
//
// asks n0.bench.example and on, NAMES different ones, A, from 32 ports, and prints one line: sent,
// answered within a second, and of these the median, the 99th and 99.9th of a hundred and the
// longest in microseconds.
#include "core/address.h"
#include "core/wire/bytes.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS = 32,
    IDS = 65536,
    QUERY_MAX = 64,
    BATCH = 32,
    US_MAX = 1000000, // later answers count as none
    SOCKET_BUFFER = 4 << 20,
};

struct query {
    uint8_t bytes[QUERY_MAX];
    size_t len;
};

struct port {
    int fd;
    uint16_t next_id;
    uint64_t due_ns[IDS]; // when the query with that ID was to leave; 0: none waits
};

struct pace {
    struct query *queries;
    size_t names;
    struct port ports[PORTS];
    uint64_t sent, answered;
    uint32_t *times; // answers that took so many microseconds
};

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void query_make(struct query *query, size_t number)
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

static int port_open(struct port *port, const struct sockaddr_in *to)
{
    int size = SOCKET_BUFFER;
    port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (port->fd < 0)
        return -errno;
    (void)setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return connect(port->fd, (const struct sockaddr *)to, sizeof *to) != 0 ? -errno : 0;
}

// Sends those that are due on one port.
static void send_due(struct pace *p, struct port *port, uint64_t first_due_ns, uint64_t step_ns,
                     unsigned count)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    struct query queries[BATCH];
    for (unsigned i = 0; i < count; i++) {
        uint16_t id = port->next_id++;
        queries[i] = p->queries[(p->sent + i) % p->names];
        store_be16(queries[i].bytes, id);
        port->due_ns[id] = first_due_ns + i * step_ns;
        parts[i] = (struct iovec){queries[i].bytes, queries[i].len};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (unsigned done = 0; done < count;) {
        int more = sendmmsg(port->fd, messages + done, count - done, 0);
        done += more > 0 ? (unsigned)more : 1;
    }
    p->sent += count;
}

static void answers_take(struct pace *p, struct port *port)
{
    static uint8_t bytes[BATCH][512];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(port->fd, messages, BATCH, 0, NULL);
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        uint64_t *due = &port->due_ns[load_be16(bytes[i])];
        uint64_t us = (now - *due) / 1000;
        if (*due == 0 || messages[i].msg_len < 12)
            continue;
        *due = 0;
        if (us >= US_MAX)
            continue;
        p->answered++;
        p->times[us]++;
    }
}

static void run(struct pace *p, double rate, double seconds)
{
    uint64_t step_ns = (uint64_t)(1e9 / rate), begin_ns = now_ns();
    uint64_t total = (uint64_t)(rate * seconds), end_ns = 0;
    for (unsigned turn = 0;; turn++) {
        struct port *port = &p->ports[turn % PORTS];
        uint64_t now = now_ns();
        uint64_t due = (now - begin_ns) / step_ns;
        due = due < total ? due : total;
        if (due > p->sent) {
            uint64_t count = due - p->sent < BATCH ? due - p->sent : BATCH;
            send_due(p, port, begin_ns + p->sent * step_ns, step_ns, (unsigned)count);
        }
        answers_take(p, port);
        if (p->sent == total && end_ns == 0)
            end_ns = now + 1000000000;
        if (end_ns != 0 && (now > end_ns || p->answered == p->sent))
            return;
    }
}

static unsigned share_us(const struct pace *p, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)p->answered * share);
    for (unsigned us = 0; us < US_MAX; us++) {
        seen += p->times[us];
        if (seen > wanted || (seen == p->answered && seen > 0))
            return us;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct address address;
    double rate = argc == 5 ? strtod(argv[2], NULL) : 0;
    double seconds = argc == 5 ? strtod(argv[3], NULL) : 0;
    size_t names = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (rate < 1 || seconds <= 0 || names == 0 ||
        !address_parse(&address, argv[1], strlen(argv[1]), 53) || address.family != ADDRESS_IPV4) {
        fprintf(stderr, "usage: %s ADDRESS:PORT RATE SECONDS NAMES\n", argv[0]);
        return 2;
    }
    struct pace *p = calloc(1, sizeof *p);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address.port)};
    memcpy(&to.sin_addr, address.ip, 4);
    if (!p || !(p->queries = calloc(names, sizeof *p->queries)) ||
        !(p->times = calloc(US_MAX, sizeof *p->times)))
        return 1;
    p->names = names;
    for (size_t i = 0; i < names; i++)
        query_make(&p->queries[i], i);
    for (unsigned i = 0; i < PORTS; i++) {
        int error = port_open(&p->ports[i], &to);
        if (error < 0) {
            fprintf(stderr, "pace: no socket: %s\n", strerror(-error));
            return 1;
        }
    }
    run(p, rate, seconds);
    printf("%llu %llu %u %u %u %u\n", (unsigned long long)p->sent, (unsigned long long)p->answered,
           share_us(p, 0.5), share_us(p, 0.99), share_us(p, 0.999), share_us(p, 1));
    return 0;
}
