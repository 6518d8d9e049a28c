// SPDX-License-Identifier: MIT
#include "core/serve/top.h"

#include "core/serve/state.h"

// Who asks most, what is asked for most, and what fails most. To count costs as much as an answer
// from memory, so it is done a thousand times a second at most: a query of a batch is counted for
// all that came since the last. Where there are few, all are counted.

enum { PAUSE_US = 1000 };

void serve_top_question(struct top *top, uint64_t now_us, const struct key *key, uint64_t weight)
{
    uint8_t bytes[KEY_LEN_MAX];
    memcpy(bytes, key->bytes, key->len);
    bytes[KEY_HEAD_LEN - 1] = 0; // with DO or without, it is the same question
    uint64_t hash = key->hash >> 32 << 32 | key_type(key); // the upper half is the name's
    top_count(top, now_us, hash, bytes, key->len, weight);
}

// A client is its network: an IPv4 address, an IPv6 /56.
void serve_top_client(struct top *top, uint64_t now_us, const struct address *from, uint64_t seed,
                      uint64_t weight)
{
    struct address network = {.family = from->family};
    memcpy(network.ip, from->ip, from->family == ADDRESS_IPV4 ? 4 : 7);
    uint64_t bits;
    memcpy(&bits, network.ip, sizeof bits);
    bits ^= seed;
    unsigned __int128 product = (unsigned __int128)bits * 0x9e3779b97f4a7c15u;
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ from->family;
    top_count(top, now_us, hash, &network, sizeof network, weight);
}

void serve_top_note(struct serve *s, uint64_t now_us, size_t count)
{
    if (s->lookups[0].item->handed_over)
        return; // were counted where they arrived; such come by themselves
    s->top_weight += count;
    if (now_us < s->top_next_us)
        return;
    s->top_turn =
        s->top_turn * 747796405u + 2891336453u; // Knuth's way of drawing, good enough here
    const struct lookup *lookup = &s->lookups[(uint64_t)s->top_turn * count >> 32];
    serve_top_question(&s->tops[TOP_QUESTIONS], now_us, &lookup->key, s->top_weight);
    serve_top_client(&s->tops[TOP_CLIENTS], now_us, &lookup->item->client.from,
                     s->config.cache->seed, s->top_weight);
    s->top_weight = 0;
    s->top_next_us = now_us + PAUSE_US;
}

void serve_top_failed(struct serve *s, uint64_t now_us, const struct key *key)
{
    serve_top_question(&s->tops[TOP_FAILURES], now_us, key, 1);
}

const struct top *serve_top(struct serve *s, uint64_t now_us, enum serve_top_kind kind)
{
    top_age(&s->tops[kind], now_us);
    return &s->tops[kind];
}
