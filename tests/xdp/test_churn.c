// SPDX-License-Identifier: MIT
#include "tests/xdp/cookies.h"
#include "tests/xdp/frame.h"
#include "tests/xdp/program.h"
#include "tests/xdp/race.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// The program answers while the cache is written. One thread stores ever new values under a few
// names, of other lengths and other octets each time; all octets of a value are the same, and its
// sum is in its trailer. Between them it stores long ones under other names, which write over what
// is gone as fast as can be. So an answer that is a mixture shows, and so does a frame that went up
// with octets of one in it.
//
//   test_churn SEED MILLISECONDS   TAP; skipped where BPF is not allowed
//
// With a third argument there is no room behind the frames.

enum {
    SHARD_SIZE = 256 << 10, // small, so that what is gone is soon written over
    DAWDLE = 200,           // some microseconds
    FILLERS = 12,       // between two names: entries are moved a few times before they are replaced
    FILLER_LEN = 40000, // some go to the main log at once,
    FILLER_SHORT = 5000, // some to the small one
    NAMES = 8,
    TEXT_MAX = 250,
    TEXTS_MAX = 4,
    LIFETIME_S = 100000,
    ANSWERS_MIN = 1000,
    COOKIES_MIN = 100, // of the answers have one
};

struct churn {
    struct world *world;
    bool over;
    uint64_t written;
};

struct tally {
    uint64_t answered, torn, passed, cookies;
    const char *wrong;
};

// Every 50th is a name of its own.
static unsigned name_of(unsigned number)
{
    return RACE_NAME + 50 * number;
}

// Stores a value whose texts have one octet everywhere.
static void store(struct churn *churn, unsigned number, uint64_t version)
{
    struct world *w = churn->world;
    uint8_t reply[2000] = {0, 0, HEADER_QR | HEADER_RD, HEADER_RA, 0, 1};
    uint8_t texts = (uint8_t)(1 + version % TEXTS_MAX),
            text_len = (uint8_t)(1 + version % TEXT_MAX);
    reply[7] = texts;
    size_t len = MESSAGE_HEADER_LEN + race_question(w, name_of(number), reply + MESSAGE_HEADER_LEN);
    len += race_texts(reply + len, texts, text_len, (uint8_t)version);
    struct key key = race_key(w, name_of(number));
    (void)race_store(w, &key, &key, reply, len);
}

static void filler_store(struct world *w, uint64_t number)
{
    static uint8_t bytes[FILLER_LEN];
    uint64_t hash = number * 0x9e3779b97f4a7c15u;
    struct cache_key key = {hash, (const uint8_t *)&number, sizeof number};
    uint32_t now_s = (uint32_t)(world_now_us(w) / 1000000);
    uint32_t len = number % 3 ? FILLER_SHORT : FILLER_LEN;
    struct cache_value stored = {bytes, len, now_s, now_s + LIFETIME_S};
    struct cache_inserted inserted;
    (void)cache_insert(&w->cache, &key, &stored, now_s, &inserted);
}

static void *writer(void *context)
{
    struct churn *churn = context;
    race_processor(1);
    while (!__atomic_load_n(&churn->over, __ATOMIC_RELAXED)) {
        store(churn, (unsigned)(churn->written % NAMES), churn->written);
        churn->written++;
        for (unsigned i = 0; i < FILLERS; i++)
            filler_store(churn->world, churn->written * FILLERS + i);
    }
    return NULL;
}

// Is the answer one value, whole?
static bool is_whole(const uint8_t *message, size_t len, size_t question_len)
{
    size_t at = MESSAGE_HEADER_LEN + question_len;
    unsigned texts = load_be16(message + 6);
    if (at + 14 > len)
        return false;
    uint8_t text_len = message[at + 12], octet = message[at + 13];
    for (unsigned i = 0; i < texts; i++, at += 13u + text_len) {
        if (at + 13 + text_len > len || message[at + 12] != text_len ||
            load_be16(message + at + 10) != text_len + 1u)
            return false;
        for (unsigned j = 0; j < text_len; j++) {
            if (message[at + 13 + j] != octet)
                return false;
        }
    }
    return at == len;
}

// Writes an OPT record, or none; half of them have a valid cookie. Returns its length.
static size_t opt_put(struct world *w, const struct frame_form *form, uint8_t *opt)
{
    struct frame frame;
    if (world_below(w, 2))
        return 0;
    opt_write(opt, 4096, 0, false);
    if (world_below(w, 2))
        return OPT_LEN;
    uint8_t cookie[COOKIE_WHOLE_LEN] = {1, [COOKIE_CLIENT_LEN] = 1};
    struct reply_options options = {0};
    frame_write(&frame, form, opt, 0);
    struct client client = frame_client(&frame, form);
    store_be32(cookie + 12, (uint32_t)(world_now_us(w) / 1000000));
    cookie_seal(cookie, w->cookies.keys[0], &client.from);
    reply_options_add(&options, EDNS_COOKIE, cookie, sizeof cookie);
    return OPT_LEN + opt_options_write(opt, &options);
}

static const char *ask(struct world *w, struct tally *tally)
{
    struct frame_form form = {.ipv6 = world_below(w, 2), .host = 1, .port = 5000};
    struct frame query, reply;
    uint8_t message[600] = {1, 2, HEADER_RD, 0, 0, 1};
    size_t question_len =
        race_question(w, name_of(world_below(w, NAMES)), message + MESSAGE_HEADER_LEN);
    size_t len = MESSAGE_HEADER_LEN + question_len;
    size_t opt_len = opt_put(w, &form, message + len);
    const uint8_t *options = message + len + OPT_LEN;
    message[11] = opt_len > 0;
    len += opt_len;
    form.padding = world_below(w, 4) ? 0 : 7;
    frame_write(&query, &form, message, len);
    reply = query;
    int said = world_run(w, reply.bytes, &reply.len);
    tally->passed += said != PROGRAM_TX;
    if (said != PROGRAM_TX)
        return reply.len == query.len && memcmp(reply.bytes, query.bytes, query.len) == 0
                   ? NULL
                   : "a frame that went up is not what it was";
    tally->answered++;
    const char *wrong = frame_check(&query, &form, &reply);
    size_t reply_len = reply.len - reply.message_at - opt_len;
    if (!wrong && !is_whole(reply.bytes + reply.message_at, reply_len, question_len))
        wrong = "an answer is a mixture of two";
    if (!wrong && opt_len > OPT_LEN &&
        memcmp(reply.bytes + reply.len - (opt_len - OPT_LEN), options, opt_len - OPT_LEN) != 0)
        wrong = "an answer has another cookie";
    return wrong;
}

static int run(struct churn *churn, uint64_t ms)
{
    struct tally tally = {0};
    struct plane_counters counters;
    pthread_t thread;
    for (unsigned i = 0; i < NAMES; i++)
        store(churn, i, i);
    if (pthread_create(&thread, NULL, writer, churn) != 0)
        return 1;
    race_processor(0);
    for (uint64_t end = race_now_ms() + ms; !tally.wrong && race_now_ms() < end;)
        tally.wrong = ask(churn->world, &tally);
    __atomic_store_n(&churn->over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    if (plane_add_up(churn->world->plane, &counters) == 0) {
        tally.torn = counters.frames[PLANE_TORN];
        tally.cookies = counters.cookies;
    }
    if (tally.wrong)
        printf("# %s\n", tally.wrong);
    printf("# %llu values written, %llu frames answered, %llu not, %llu of them torn\n",
           (unsigned long long)churn->written, (unsigned long long)tally.answered,
           (unsigned long long)tally.passed, (unsigned long long)tally.torn);
    printf("%s 1 - what is answered while the cache is written is whole\n",
           tally.wrong ? "not ok" : "ok");
    printf("%s 2 - and there are answers\n1..2\n",
           tally.answered < ANSWERS_MIN || tally.cookies < COOKIES_MIN ? "not ok" : "ok");
    return 0;
}

int main(int argc, char **argv)
{
    char why[PLANE_WHY_SIZE] = "";
    struct churn churn = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: %s SEED MILLISECONDS\n", argv[0]);
        return 2;
    }
    churn.world = world_make(
        strtoull(argv[1], NULL, 10),
        (struct plane_options){.shard_size = SHARD_SIZE, .dawdle = DAWDLE, .no_tail = argc == 4},
        why);
    if (!churn.world) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    int status = run(&churn, strtoull(argv[2], NULL, 10));
    world_free(churn.world);
    return status;
}
