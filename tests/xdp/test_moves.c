// SPDX-License-Identifier: MIT
#include "cache/layout.h"
#include "tests/xdp/frame.h"
#include "tests/xdp/program.h"
#include "tests/xdp/race.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// A name has an answer, which is moved all the time and written over where it was, as the cache
// does it, and a denial that stays (docs/cache-layout.md). What is written over can look as if it
// had expired; the program must not take it for that and give the denial.
//
//   test_moves MILLISECONDS   TAP; skipped where BPF is not allowed

enum {
    TEXT_LEN = 20,
    TURNS_MIN = 1000,
    ASKED_MIN = 1000,
};

struct moves {
    struct world *world;
    uint64_t *sequence, *slot;
    uint64_t *times[2]; // of both places
    uint64_t slots[2];  // that lead there
    uint64_t turns;
    bool over;
};

// Stores an answer of this letter under that key. Returns the entry's place in its shard.
static uint64_t store(struct world *w, const struct key *key, char letter)
{
    uint8_t reply[600] = {0, 0, HEADER_QR | HEADER_RD, HEADER_RA, 0, 1, 0, 1};
    struct key asked = race_key(w, RACE_NAME);
    size_t len = MESSAGE_HEADER_LEN + race_question(w, RACE_NAME, reply + MESSAGE_HEADER_LEN);
    len += race_texts(reply + len, 1, TEXT_LEN, (uint8_t)letter);
    return race_store(w, key, &asked, reply, len);
}

// Finds the slot that leads to the entry at `offset`.
static bool slot_find(struct moves *m, uint8_t *shard, uint64_t hash, uint64_t offset)
{
    uint32_t count = m->world->cache.bucket_count, low = (uint32_t)hash;
    struct layout_bucket *buckets = (struct layout_bucket *)(shard + LAYOUT_HEADER_LEN);
    const uint32_t both[] = {layout_first_bucket(low, count), layout_second_bucket(low, count)};
    for (unsigned i = 0; i < 2; i++) {
        struct layout_bucket *bucket = &buckets[both[i]];
        for (unsigned slot = 0; slot < LAYOUT_SLOTS; slot++) {
            if ((bucket->slots[slot] & LAYOUT_OFFSET_MASK) != offset)
                continue;
            m->sequence = &bucket->sequence;
            m->slot = &bucket->slots[slot];
            return true;
        }
    }
    return false;
}

// What was replaced stays in the log until that comes round, so there are two places.
static void moves_make(struct moves *m, struct world *w)
{
    struct key key = race_key(w, RACE_NAME), denial;
    key_make_denial(&denial, &key);
    uint8_t *shard = w->cache.region + cache_shard_of(&w->cache, key.hash) * w->cache.shard_stride;
    uint64_t offsets[2];
    m->world = w;
    (void)store(w, &denial, 'd');
    for (unsigned i = 0; i < 2; i++) {
        offsets[i] = store(w, &key, 'a');
        m->times[i] = (uint64_t *)(shard + offsets[i] + LAYOUT_WORD);
        m->slots[i] = layout_tag(key.hash) | offsets[i];
    }
    bool found = slot_find(m, shard, key.hash, offsets[1]);
    assert(found && offsets[0] != offsets[1]);
}

// In the order in which the cache's writer does it (cache/read.c): W1 to W4.
static void *writer(void *context)
{
    struct moves *m = context;
    race_processor(1);
    while (!__atomic_load_n(&m->over, __ATOMIC_RELAXED)) {
        unsigned from = ~m->turns & 1;
        uint64_t times = *m->times[from];
        __atomic_store_n(m->slot, m->slots[!from], __ATOMIC_RELEASE);
        __atomic_store_n(m->sequence, *m->sequence + LAYOUT_VERSION_STEP, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        __atomic_store_n(m->times[from], 0, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < m->turns % 64; i++)
            __asm__ volatile("" ::: "memory");
        __atomic_store_n(m->times[from], times, __ATOMIC_RELAXED);
        m->turns++;
    }
    return NULL;
}

// The letter of the program's answer; 0: it has left the query to the sockets.
static char ask(struct world *w)
{
    struct frame_form form = {.host = 1, .port = 5000};
    struct frame frame;
    uint8_t message[600] = {1, 2, HEADER_RD, 0, 0, 1};
    size_t len = MESSAGE_HEADER_LEN + race_question(w, RACE_NAME, message + MESSAGE_HEADER_LEN);
    frame_write(&frame, &form, message, len);
    return world_run(w, frame.bytes, &frame.len) == PROGRAM_TX ? (char)frame.bytes[frame.len - 1]
                                                               : 0;
}

static int run(struct moves *m, uint64_t ms)
{
    pthread_t thread;
    uint64_t asked = 0, answers = 0, denials = 0;
    if (pthread_create(&thread, NULL, writer, m) != 0)
        return 1;
    race_processor(0);
    for (uint64_t end = race_now_ms() + ms; race_now_ms() < end; asked++) {
        char letter = ask(m->world);
        answers += letter == 'a';
        denials += letter == 'd';
    }
    __atomic_store_n(&m->over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    printf("# moved %llu times; %llu asked, %llu answered, %llu denied\n",
           (unsigned long long)m->turns, (unsigned long long)asked, (unsigned long long)answers,
           (unsigned long long)denials);
    printf("%s 1 - an answer that is moved is not taken for an expired one\n",
           denials ? "not ok" : "ok");
    printf("%s 2 - and it is moved, and asked for\n",
           m->turns < TURNS_MIN || asked < ASKED_MIN ? "not ok" : "ok");
    printf("%s 3 - and answered at last\n1..3\n", ask(m->world) == 'a' ? "ok" : "not ok");
    return 0;
}

int main(int argc, char **argv)
{
    char why[PLANE_WHY_SIZE] = "";
    struct moves moves = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: %s MILLISECONDS\n", argv[0]);
        return 2;
    }
    struct world *w = world_make(1, (struct plane_options){.shard_size = 1 << 20}, why);
    if (!w) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    moves_make(&moves, w);
    int status = run(&moves, strtoull(argv[1], NULL, 10));
    world_free(w);
    return status;
}
