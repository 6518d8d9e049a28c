// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The share of queries that a cache of limited size answers, of resolver-like traffic: popular
// names by Zipf's law, mixed with names that are asked once, so that half of all names are. ouzel's
// cache against LRU, CLOCK and SIEVE (NSDI 2024) written plainly, each with room for as many
// entries as ouzel's cache holds at the end, so that only the choice of victims is compared.

enum { NAMES = 1000000, REQUESTS = 10000000, VALUE_LEN = 100, KEY_LEN = 24 };

struct trace {
    uint32_t *names; // REQUESTS of them and what was mixed in
    size_t count;
    size_t distinct;
};

static uint64_t random_state;

static uint64_t random_next(void)
{
    uint64_t x = random_state += 0x9e3779b97f4a7c15; // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static double random_unit(void)
{
    return (double)(random_next() >> 11) / (double)(1ull << 53);
}

static void *take(size_t size)
{
    void *memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (!memory) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    memset(memory, 0, size);
    return memory;
}

static size_t rank_find(const double *sums, double at)
{
    size_t low = 0, high = NAMES - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct trace trace_make(double exponent)
{
    double *sums = take(NAMES * sizeof *sums);
    uint32_t *popular = take(REQUESTS * sizeof *popular);
    uint8_t *asked = take(NAMES);
    double sum = 0;
    for (size_t i = 0; i < NAMES; i++)
        sums[i] = sum += 1 / pow((double)(i + 1), exponent);
    for (size_t i = 0; i < REQUESTS; i++) {
        popular[i] = (uint32_t)rank_find(sums, random_unit() * sum);
        if (asked[popular[i]] < 2)
            asked[popular[i]]++;
    }
    size_t distinct = 0, once = 0;
    for (size_t i = 0; i < NAMES; i++) {
        distinct += asked[i] > 0;
        once += asked[i] == 1;
    }
    // (once + more) / (distinct + more) is to be a half.
    size_t more = distinct > 2 * once ? distinct - 2 * once : 0;
    struct trace trace = {.count = REQUESTS + more, .distinct = distinct + more};
    trace.names = take(trace.count * sizeof *trace.names);
    size_t left = more, next = 0;
    for (size_t i = 0; i < trace.count; i++) {
        bool single = left > 0 && random_next() % (trace.count - i) < left;
        trace.names[i] = single ? (uint32_t)(NAMES + --left) : popular[next++];
    }
    free(sums);
    free(popular);
    free(asked);
    return trace;
}

// --- the three, over dense numbers ---------------------------------------------------------------

struct node {
    uint32_t next, previous; // towards the tail, towards the head
    bool here, visited;
};

struct list {
    struct node *nodes; // one for each name; the last one is the list's own
    uint32_t end;
    size_t count;
};

static struct list list_make(size_t names)
{
    struct list list = {.nodes = take((names + 1) * sizeof(struct node)), .end = (uint32_t)names};
    list.nodes[names].next = list.nodes[names].previous = list.end;
    return list;
}

static void list_push(struct list *list, uint32_t name)
{
    struct node *nodes = list->nodes;
    uint32_t first = nodes[list->end].next;
    nodes[name] = (struct node){.next = first, .previous = list->end, .here = true};
    nodes[first].previous = name;
    nodes[list->end].next = name;
    list->count++;
}

static void list_remove(struct list *list, uint32_t name)
{
    struct node *nodes = list->nodes;
    nodes[nodes[name].previous].next = nodes[name].next;
    nodes[nodes[name].next].previous = nodes[name].previous;
    nodes[name].here = false;
    list->count--;
}

static double lru(const struct trace *trace, size_t size, size_t names)
{
    struct list list = list_make(names);
    size_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t name = trace->names[i];
        if (list.nodes[name].here) {
            hits++;
            list_remove(&list, name);
        } else if (list.count == size) {
            list_remove(&list, list.nodes[list.end].previous);
        }
        list_push(&list, name);
    }
    free(list.nodes);
    return (double)hits / (double)trace->count;
}

static double clock_policy(const struct trace *trace, size_t size, size_t names)
{
    struct list list = list_make(names);
    size_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t name = trace->names[i];
        if (list.nodes[name].here) {
            hits++;
            list.nodes[name].visited = true;
            continue;
        }
        while (list.count == size) {
            uint32_t last = list.nodes[list.end].previous;
            bool again = list.nodes[last].visited;
            list_remove(&list, last);
            if (again)
                list_push(&list, last);
        }
        list_push(&list, name);
    }
    free(list.nodes);
    return (double)hits / (double)trace->count;
}

static double sieve(const struct trace *trace, size_t size, size_t names)
{
    struct list list = list_make(names);
    uint32_t hand = list.end;
    size_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t name = trace->names[i];
        if (list.nodes[name].here) {
            hits++;
            list.nodes[name].visited = true;
            continue;
        }
        if (list.count == size) {
            if (hand == list.end)
                hand = list.nodes[list.end].previous;
            while (list.nodes[hand].visited) {
                list.nodes[hand].visited = false;
                hand = list.nodes[hand].previous;
                if (hand == list.end)
                    hand = list.nodes[list.end].previous;
            }
            uint32_t victim = hand;
            hand = list.nodes[victim].previous;
            list_remove(&list, victim);
        }
        list_push(&list, name);
    }
    free(list.nodes);
    return (double)hits / (double)trace->count;
}

// --- ouzel's -------------------------------------------------------------------------------------

static struct cache_key key_of(uint32_t name, uint8_t bytes[KEY_LEN])
{
    memset(bytes, 0, KEY_LEN);
    memcpy(bytes, &name, sizeof name);
    random_state = name;
    return (struct cache_key){.hash = random_next(), .bytes = bytes, .len = KEY_LEN};
}

static double ouzel(const struct trace *trace, size_t size, size_t *entries)
{
    uint8_t *region = take(size);
    struct cache cache;
    if (cache_format(&cache, region, size, 1, 0) != 0)
        return 0;
    uint8_t bytes[KEY_LEN], value[VALUE_LEN] = {0};
    size_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        struct cache_key key = key_of(trace->names[i], bytes);
        struct cache_hit hit;
        if (cache_lookup(&cache, &key, value, sizeof value, &hit) == CACHE_HIT) {
            hits++;
            continue;
        }
        struct cache_value stored = {value, sizeof value, 0, UINT32_MAX};
        struct cache_inserted inserted;
        if (cache_insert(&cache, &key, &stored, 1, &inserted) != 0)
            abort();
    }
    struct cache_use use;
    cache_use(&cache, &use);
    *entries = use.entries;
    free(region);
    return (double)hits / (double)trace->count;
}

int main(void)
{
    static const double exponents[] = {0.8, 0.9, 1.0, 1.1};
    static const unsigned percents[] = {1, 5, 10, 20};
    printf(
        "| Zipf | size, %% of names | entries | ouzel | LRU | CLOCK | SIEVE | ouzel less best |\n");
    printf("|-|-|-|-|-|-|-|-|\n");
    for (unsigned e = 0; e < 4; e++) {
        random_state = 1;
        struct trace trace = trace_make(exponents[e]);
        size_t names = NAMES + trace.distinct;
        for (unsigned p = 0; p < 4; p++) {
            // Octets for so many entries, index included.
            size_t wanted = trace.distinct * percents[p] / 100;
            size_t entries = 0, size = wanted * (VALUE_LEN + KEY_LEN + 37);
            size = size > cache_size_min(1) ? size : cache_size_min(1);
            double ours = 100 * ouzel(&trace, size, &entries);
            double theirs[3] = {100 * lru(&trace, entries, names),
                                100 * clock_policy(&trace, entries, names),
                                100 * sieve(&trace, entries, names)};
            double best = fmax(theirs[0], fmax(theirs[1], theirs[2]));
            printf("| %.1f | %u | %zu | %.2f | %.2f | %.2f | %.2f | %+.2f |\n", exponents[e],
                   percents[p], entries, ours, theirs[0], theirs[1], theirs[2], ours - best);
            fflush(stdout);
        }
        free(trace.names);
    }
    return 0;
}
