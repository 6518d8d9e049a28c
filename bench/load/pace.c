// SPDX-License-Identifier: MIT
// Load in an open loop: queries leave at the moments of a steady rate whether or not answers have
// come, and an answer's time counts from the moment its query was to leave, not from when it did.
// So a server that stalls is charged for all queries that it delayed (no coordinated omission), and
// what it does not answer counts as slower than all that it answers.
//
//   pace ADDRESS:PORT RATE SECONDS NAMES
//
// asks n0.bench.example and on, NAMES different ones, A, from a few ports, and prints a line for
// each tenth of a second: sent, answered within a second, and the median, the 99th and 99.9th of a
// hundred and the longest of their times in microseconds; 1,000,000 where that is none.
#include "bench/load/load.h"
#include "core/wire/bytes.h"
#include "core/wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PORTS = 4, // that one look at each takes little time, and all IDs are good for a second
    IDS = 65536,
    BATCH = 32,
    PARTS_A_SECOND = 10,
    NEVER_US = 1000000, // an answer after a second counts as none
    QUERIES_MAX = 1 << 28,
    RECEIVE_BUFFER = 4 << 20, // octets, for a burst
};

struct port {
    int fd;
    uint16_t next_id;
    uint32_t asked[IDS]; // one more than the number of the query with that ID; 0: none waits
};

struct pace {
    struct load_query *queries;
    size_t names;
    struct port ports[PORTS];
    uint64_t begin_ns;
    double step_ns;
    size_t total, sent, answered;
    uint32_t *times_us; // of each query
};

static uint64_t due_ns(const struct pace *p, size_t number)
{
    return p->begin_ns + (uint64_t)((double)number * p->step_ns);
}

// Sends the next `count` queries from one port.
static void send_due(struct pace *p, struct port *port, size_t count)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    struct load_query queries[BATCH];
    for (size_t i = 0; i < count; i++) {
        uint16_t id = port->next_id++;
        queries[i] = p->queries[(p->sent + i) % p->names];
        store_be16(queries[i].bytes, id);
        port->asked[id] = (uint32_t)(p->sent + i + 1);
        parts[i] = (struct iovec){queries[i].bytes, queries[i].len};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (size_t done = 0; done < count;) {
        int more = sendmmsg(port->fd, messages + done, (unsigned)(count - done), 0);
        done += more > 0 ? (size_t)more : 1;
    }
    p->sent += count;
}

static void answer_parse(struct pace *p, struct port *port, uint16_t id, uint64_t now_ns)
{
    uint32_t *asked = &port->asked[id];
    if (*asked == 0)
        return;
    size_t number = *asked - 1;
    uint64_t us = (now_ns - due_ns(p, number)) / 1000;
    *asked = 0;
    if (us >= NEVER_US)
        return;
    p->times_us[number] = (uint32_t)us;
    p->answered++;
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
    uint64_t now_ns = load_now_ns();
    for (int i = 0; i < count; i++)
        if (messages[i].msg_len >= MESSAGE_HEADER_LEN)
            answer_parse(p, port, load_be16(bytes[i]), now_ns);
}

// Until all is answered, or a second after the last query.
static void run(struct pace *p)
{
    p->begin_ns = load_now_ns();
    uint64_t end_ns = due_ns(p, p->total) + LOAD_NS_A_SECOND;
    for (unsigned turn = 0; p->answered < p->total; turn++) {
        struct port *port = &p->ports[turn % PORTS];
        uint64_t now_ns = load_now_ns();
        size_t due = (size_t)((double)(now_ns - p->begin_ns) / p->step_ns);
        due = due < p->total ? due : p->total;
        if (due > p->sent)
            send_due(p, port, due - p->sent < BATCH ? due - p->sent : BATCH);
        answers_take(p, port);
        if (now_ns > end_ns)
            return;
    }
}

static int time_compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

// Spoils the order of the times.
static void part_print(uint32_t *times_us, size_t count)
{
    size_t answered = 0;
    qsort(times_us, count, sizeof *times_us, time_compare);
    while (answered < count && times_us[answered] < NEVER_US)
        answered++;
    printf("%zu %zu %u %u %u %u\n", count, answered, times_us[count / 2],
           times_us[count - 1 - count / 100], times_us[count - 1 - count / 1000],
           times_us[count - 1]);
}

static void parts_print(struct pace *p, size_t count)
{
    for (size_t i = 0, from = 0; i < count; i++) {
        size_t end = p->total * (i + 1) / count;
        part_print(p->times_us + from, end - from);
        from = end;
    }
}

static bool prepare(struct pace *p, const struct load_order *order)
{
    p->names = order->names;
    p->step_ns = LOAD_NS_A_SECOND / order->rate;
    p->total = (size_t)(order->seconds * order->rate);
    if (p->total < PARTS_A_SECOND || p->total > QUERIES_MAX ||
        !(p->queries = calloc(p->names, sizeof *p->queries)) ||
        !(p->times_us = malloc(p->total * sizeof *p->times_us)))
        return false;
    for (size_t i = 0; i < p->names; i++)
        load_query_make(&p->queries[i], i);
    for (size_t i = 0; i < p->total; i++)
        p->times_us[i] = NEVER_US;
    return true;
}

int main(int argc, char **argv)
{
    static struct pace p;
    struct load_order order;
    if (!load_order_parse(&order, argv, argc, 5)) {
        fprintf(stderr, "usage: %s ADDRESS:PORT RATE SECONDS NAMES\n", argv[0]);
        return 2;
    }
    if (!prepare(&p, &order)) {
        fprintf(stderr, "%s: too few queries, or too many\n", argv[0]);
        return 1;
    }
    for (unsigned i = 0; i < PORTS; i++) {
        p.ports[i].fd = load_socket_open(&order.to, RECEIVE_BUFFER);
        if (p.ports[i].fd < 0) {
            fprintf(stderr, "%s: no socket: %s\n", argv[0], strerror(-p.ports[i].fd));
            return 1;
        }
    }
    run(&p);
    parts_print(&p, (size_t)(order.seconds * PARTS_A_SECOND + 0.5));
    return 0;
}
