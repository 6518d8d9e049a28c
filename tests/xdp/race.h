// SPDX-License-Identifier: MIT
#pragma once
#include "tests/xdp/world.h"

// The program beside a thread that writes to the cache.

// Has the calling thread run on one processor, the first that it may use (0) or the second, where
// there are two: reader and writer have to run at once.
void race_processor(int which);

uint64_t race_now_ms(void); // CLOCK_MONOTONIC

// Names of the number are short ones, and asked for with TXT.
#define RACE_NAME 2000

struct key race_key(const struct world *world, unsigned number);

// Writes the question. Returns its length.
size_t race_question(const struct world *world, unsigned number, uint8_t *at);

// Writes `texts` TXT records with a pointer to the question's name, each of `len` octets that are
// all `octet`. Returns their length.
size_t race_texts(uint8_t *at, unsigned texts, uint8_t len, uint8_t octet);

// Stores under `key` what a reply answers to `asked`, as popular as can be and for as long as a
// test takes. Returns the entry's place in its shard.
uint64_t race_store(struct world *world, const struct key *key, const struct key *asked,
                    const uint8_t *reply, size_t len);
