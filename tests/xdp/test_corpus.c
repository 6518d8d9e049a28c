// SPDX-License-Identifier: MIT
#include "tests/fuzz/answer_input.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fuzz_serve.h"
#include "tests/fuzz/target.h"
#include "tests/xdp/compare.h"

#include <stdio.h>

// The corpora of the fuzz targets with the program beside the worker: what these targets have found
// to be odd about queries and answers is odd for the program, too.
//
//   serve     as its target runs it: any queries and replies, and time that passes
//   message   each is the DNS message of frames over IPv4 and IPv6
//   answer    each is what an upstream replies to its own question, which clients then ask for
//             until the program answers; so is a message that is a reply
//
//   test_corpus CORPORA ANSWERED POPULAR   TAP; skipped where BPF is not allowed
//
// So many frames at least have to be answered by the program as things are, and so many as if all
// answers were popular.

#define STOPPED_US 1800000000000000u // later than any clock was when the world was made

enum { ROUNDS = 6, STEP_US = 700000, REPEATS_AT = 5, HOST = 7, PORT = 4000 };

struct run {
    struct compare compare;
    struct world *world;
    unsigned inputs;
};

static void ask(struct run *run, const struct client *client, const uint8_t *query, size_t len)
{
    struct beside *beside = &run->compare.beside;
    struct serve_item item = {.client = *client, .in = query, .in_len = (uint16_t)len};
    beside->before(beside, run->world->serve, world_now_us(run->world), &item);
    item = world_ask(run->world, client, query, len);
    const char *differs = beside->after(beside, &item);
    if (!differs)
        return;
    fprintf(stderr, "%s\n", differs);
    abort();
}

// From clients of both families, with time between, and from one that may not ask.
static void ask_often(struct run *run, const uint8_t *query, size_t len)
{
    const struct client clients[] = {
        {.from = {.ip = {192, 0, 2, HOST}, .port = PORT, .family = ADDRESS_IPV4}},
        {.from = {.ip = {0x20, 1, 0xd, 0xb8, [7] = 7, [15] = HOST},
                  .port = PORT,
                  .family = ADDRESS_IPV6}},
    };
    const struct client refused = {
        .from = {.ip = {192, 0, 2, 128 + HOST}, .port = PORT, .family = ADDRESS_IPV4}};
    for (unsigned round = 0; round < ROUNDS; round++) {
        ask(run, &clients[0], query, len);
        ask(run, &clients[1], query, len);
        run->world->stopped_us += STEP_US;
    }
    ask(run, &refused, query, len);
}

static void message_run(struct run *run, const uint8_t *message, size_t len)
{
    world_begin_again(run->world);
    ask_often(run, message, len < UINT16_MAX ? len : UINT16_MAX);
}

// A reply, asked for as its input says and in other ways.
static void reply_run(struct run *run, struct answer_input *input)
{
    // Without RD for what is cached by then.
    static const uint8_t ways[][3] = {{HEADER_RD},
                                      {0},
                                      {HEADER_RD | 2, 0x04, 0xd0},
                                      {HEADER_RD | 2 | 4, 0x10, 0},
                                      {HEADER_RD | HEADER_CD},
                                      {HEADER_RD | 2, 0x02, 0x58}};
    run->world->given = input->reply;
    run->world->given_len = input->reply_len;
    if (input->asked_len > 0)
        message_run(run, input->asked, input->asked_len);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        answer_input_ask(input, ways[i]);
        if (input->asked_len > 0 && ways[i][0] & HEADER_RD)
            world_begin_again(run->world);
        if (input->asked_len > 0)
            ask_often(run, input->asked, input->asked_len);
    }
    run->world->given = NULL;
}

static void serve_input(void *context, const uint8_t *bytes, size_t len)
{
    struct run *run = context;
    fuzz_serve_beside(&run->compare.beside);
    LLVMFuzzerTestOneInput(bytes, len);
}

static void message_input(void *context, const uint8_t *bytes, size_t len)
{
    struct run *run = context;
    struct answer_input input = {.reply = (uint8_t *)bytes, .reply_len = len};
    compare_with(&run->compare, run->world->plane);
    message_run(run, bytes, len);
    if (len >= MESSAGE_HEADER_LEN && bytes[2] & HEADER_QR)
        reply_run(run, &input);
}

static void answer_input(void *context, const uint8_t *bytes, size_t len)
{
    struct run *run = context;
    // Of what may be repeated, as often as leaves most within what the program answers, too.
    static const uint8_t repeats[] = {0, 1, 3};
    struct answer_input input;
    uint8_t *copy = malloc(len);
    assert(copy);
    memcpy(copy, bytes, len);
    compare_with(&run->compare, run->world->plane);
    for (size_t i = 0; i <= sizeof repeats && answer_input_read(copy, len, &input); i++) {
        if (i == 0)
            message_run(run, input.reply, input.reply_len);
        reply_run(run, &input);
        free(input.reply);
        if (i < sizeof repeats)
            copy[REPEATS_AT] = repeats[i];
    }
    free(copy);
}

static void target_run(struct run *run, const char *corpora, const char *name, corpus_take *take)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", corpora, name);
    int count = corpus_run(path, take, run);
    assert(count > 0);
    run->inputs += (unsigned)count;
    compare_report(&run->compare);
}

static bool all_load(struct run *run, char why[static PLANE_WHY_SIZE])
{
    compare_init(&run->compare);
    for (uint32_t shards = 1; shards <= 2; shards++) {
        if (!compare_load(&run->compare, shards, fuzz_serve_cache_size(shards), why))
            return false;
    }
    run->world = world_make(1, (struct plane_options){.shard_size = 1 << 20}, why);
    if (run->world)
        run->world->stopped_us = STOPPED_US;
    return run->world;
}

int main(int argc, char **argv)
{
    static struct run run;
    char why[PLANE_WHY_SIZE] = "";
    if (argc != 4) {
        fprintf(stderr, "usage: %s CORPORA ANSWERED POPULAR\n", argv[0]);
        return 2;
    }
    if (!all_load(&run, why)) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    corpus_watch();
    target_run(&run, argv[1], "serve", serve_input);
    target_run(&run, argv[1], "message", message_input);
    target_run(&run, argv[1], "answer", answer_input);
    bool enough =
        compare_answered(&run.compare, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    printf("ok 1 - both planes say the same of %u inputs\n", run.inputs);
    printf("%sok 2 - the program answers what it can\n1..2\n", enough ? "" : "not ");
    world_free(run.world);
    return !enough;
}
