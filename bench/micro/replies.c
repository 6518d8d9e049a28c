// SPDX-License-Identifier: MIT
#include "bench/micro/bench.h"
#include "core/answer.h"

#include <stdio.h>
#include <stdlib.h>

// What it takes to read an upstream's reply and to write it again.
//
//   replies [OPTION...]         times it (the options are Google Benchmark's)
//   replies count WHICH ROUNDS  takes one of them so often and ends: under callgrind, with N and
//                               with 2N rounds, the difference is what one takes

struct reply {
    const char *name;
    unsigned labels;  // of the name that was asked for
    unsigned records; // PTR under that name
    size_t len;
    struct key key;
    struct answer answer;
    uint8_t bytes[MESSAGE_LEN_MAX];
};

static struct reply replies[] = {
    {.name = "one PTR", .labels = 6, .records = 1},
    {.name = "30 PTR", .labels = 34, .records = 30},
    {.name = "3,622 PTR under 125 labels", .labels = 125, .records = 3622},
};

enum { REPLIES = sizeof replies / sizeof *replies };

static const struct answer_limits limits = {
    .seed = 0x123456789abcdef, .ttl_max_s = 86400, .ttl_negative_max_s = 3600};

static void reply_make(struct reply *reply)
{
    uint8_t query[MESSAGE_UDP_MIN] = {0x12, 0x34, 1, 0, 0, 1};
    struct writer w = writer_over(query, sizeof query);
    struct query asked;
    w.at = MESSAGE_HEADER_LEN;
    for (unsigned i = 0; i < reply->labels; i++)
        write_bytes(&w, "\1a", 2);
    write_u8(&w, 0);
    write_u16(&w, TYPE_PTR);
    write_u16(&w, CLASS_IN);
    if (w.failed || query_read(&asked, query, w.at) != QUERY_GOOD)
        abort();
    key_make(&reply->key, &asked, 1);
    size_t len = w.at;
    w = writer_over(reply->bytes, sizeof reply->bytes);
    write_bytes(&w, query, len);
    reply->bytes[2] |= HEADER_QR;
    store_be16(reply->bytes + 6, (uint16_t)reply->records);
    for (unsigned i = 0; i < reply->records; i++) {
        write_u16(&w, 0xc000 | MESSAGE_HEADER_LEN);
        write_u16(&w, TYPE_PTR);
        write_u16(&w, CLASS_IN);
        write_u32(&w, 300);
        write_u16(&w, 6);
        uint8_t label[] = {3, (uint8_t)('a' + i / 676), (uint8_t)('a' + i / 26 % 26),
                           (uint8_t)('a' + i % 26)};
        write_bytes(&w, label, sizeof label);
        write_u16(&w, 0xc000 | (MESSAGE_HEADER_LEN + 2));
    }
    if (w.failed)
        abort();
    reply->len = w.at;
    reply->answer.value = malloc(ANSWER_SIZE_MAX);
    if (!reply->answer.value)
        abort();
}

// The only part that callgrind is to see twice.
static void take(struct reply *reply)
{
    if (answer_parse(&reply->answer, reply->bytes, reply->len, &reply->key, &limits) != REPLY_GOOD)
        abort();
}

static void run(struct bench *bench, void *context)
{
    while (bench_next(bench))
        take(context);
    bench_items(bench, ((struct reply *)context)->records);
}

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < REPLIES; i++)
        reply_make(&replies[i]);
    if (argc == 4 && strcmp(argv[1], "count") == 0) {
        unsigned which = (unsigned)atoi(argv[2]) % REPLIES;
        for (long rounds = atol(argv[3]); rounds > 0; rounds--)
            take(&replies[which]);
        return 0;
    }
    for (unsigned i = 0; i < REPLIES; i++)
        bench_add(replies[i].name, run, &replies[i]);
    return bench_run(argc, argv);
}
