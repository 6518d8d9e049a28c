// SPDX-License-Identifier: MIT
#include "tests/xdp/race.h"

#include <assert.h>
#include <sched.h>
#include <time.h>

enum { LIFETIME_S = 100000 };

void race_processor(int which)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all) && which-- == 0)
            CPU_SET(i, &one);
    }
    (void)sched_setaffinity(0, sizeof one, &one);
}

uint64_t race_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct key race_key(const struct world *w, unsigned number)
{
    struct name name = {0};
    struct key key;
    name.len = (uint8_t)world_name(w, number, name.bytes);
    key_of_name(&key, &name, TYPE_TXT, w->cache.seed);
    return key;
}

size_t race_question(const struct world *w, unsigned number, uint8_t *at)
{
    size_t len = world_name(w, number, at);
    store_be16(at + len, TYPE_TXT);
    store_be16(at + len + 2, CLASS_IN);
    return len + 4;
}

size_t race_texts(uint8_t *at, unsigned texts, uint8_t len, uint8_t octet)
{
    static const uint8_t front[] = {0xc0, 12, 0, TYPE_TXT, 0, CLASS_IN, 0, 9, 0, 0};
    uint8_t *to = at;
    for (unsigned i = 0; i < texts; i++) {
        memcpy(to, front, sizeof front);
        store_be16(to + 10, (uint16_t)(len + 1));
        to[12] = len;
        memset(to + 13, octet, len);
        to += 13 + len;
    }
    return (size_t)(to - at);
}

uint64_t race_store(struct world *w, const struct key *key, const struct key *asked,
                    const uint8_t *reply, size_t len)
{
    uint8_t value[ANSWER_SIZE_MAX];
    struct answer_limits limits = {.ttl_max_s = LIFETIME_S, .udp_payload_max = 1232};
    struct answer answer = {.value = value};
    enum reply_verdict verdict = answer_parse(&answer, reply, len, asked, &limits);
    assert(verdict == REPLY_GOOD);
    answer_seal(&answer, &(struct answer_origin){.generation = w->config.generation});
    uint32_t now_s = (uint32_t)(world_now_us(w) / 1000000);
    struct cache_key cache_key = key_for_cache(key);
    struct cache_inserted inserted;
    struct cache_value stored = {value, answer.len, now_s, now_s + LIFETIME_S};
    int error = cache_insert(&w->cache, &cache_key, &stored, now_s, &inserted);
    assert(error == 0);
    (void)cache_mark(&w->cache, &cache_key, CACHE_HITS_MAX, CACHE_HITS_MAX);
    struct cache_hit hit;
    enum cache_verdict found = cache_peek(&w->cache, &cache_key, value, sizeof value, &hit);
    assert(found == CACHE_HIT);
    return hit.offset;
}
