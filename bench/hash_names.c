// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/bench.h"
#include "core/wire/key.h"

#include <stdio.h>
#include <stdlib.h>

// What the hashes that a key could have cost, for names of 12, 30, 60 and 255 octets: `alone`, each
// waiting for the one before, and `in a row`, as a batch of queries hashes them.
//
//   hash_names [Google Benchmark's arguments]
//   hash_names HASH LEN COUNT   computes so many and ends; under callgrind the difference between
//                               COUNT and 2 COUNT is the number of instructions

enum { LENS = 4, HASHES = 3, ROOM = 300 };

static const size_t lens[LENS] = {12, 30, 60, 255};
static uint8_t room[ROOM];

static __attribute__((noinline)) uint64_t hash_xxh3(const uint8_t *key, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(key + KEY_HEAD_LEN, len - KEY_HEAD_LEN, seed);
}

static __attribute__((noinline)) uint64_t hash_xxh64(const uint8_t *key, size_t len, uint64_t seed)
{
    return XXH64(key + KEY_HEAD_LEN, len - KEY_HEAD_LEN, seed);
}

static const struct hash {
    const char *name;
    uint64_t (*of)(const uint8_t *key, size_t len, uint64_t seed);
} hashes[HASHES] = {{"xxh3", hash_xxh3}, {"xxh64", hash_xxh64}, {"siphash13", key_hash}};

struct row {
    const struct hash *hash;
    size_t name_len;
    char title[48];
};

static void alone(struct bench *bench, void *context)
{
    const struct row *row = context;
    uint64_t hash = 0;
    while (bench_next(bench))
        hash = row->hash->of(room + (hash & 1), KEY_HEAD_LEN + row->name_len, 42);
    __asm__ volatile("" : : "r"(hash));
    bench_items(bench, 1);
}

static void in_a_row(struct bench *bench, void *context)
{
    const struct row *row = context;
    while (bench_next(bench)) {
        uint64_t hash = row->hash->of(room, KEY_HEAD_LEN + row->name_len, 42);
        __asm__ volatile("" : : "r"(hash));
    }
    bench_items(bench, 1);
}

static int count_out(char **argv)
{
    size_t len = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10);
    uint64_t sum = 0;
    for (unsigned i = 0; i < HASHES; i++) {
        if (strcmp(argv[1], hashes[i].name) != 0 || len + KEY_HEAD_LEN > ROOM)
            continue;
        while (count-- > 0)
            sum += hashes[i].of(room, KEY_HEAD_LEN + len, 42);
        printf("%llx\n", (unsigned long long)sum);
        return 0;
    }
    return 2;
}

int main(int argc, char **argv)
{
    static struct row rows[HASHES * LENS][2];
    for (size_t i = 0; i < ROOM; i++)
        room[i] = (uint8_t)('a' + i % 26);
    if (argc == 4 && argv[1][0] != '-')
        return count_out(argv);
    for (unsigned i = 0; i < HASHES * LENS; i++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            struct row *row = &rows[i][kind];
            row->hash = &hashes[i % HASHES];
            row->name_len = lens[i / HASHES];
            snprintf(row->title, sizeof row->title, "%s/%zu/%s", row->hash->name, row->name_len,
                     kind ? "row" : "alone");
            bench_add(row->title, kind ? in_a_row : alone, row);
        }
    }
    return bench_run(argc, argv);
}
