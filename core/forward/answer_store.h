// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"

// Answers in hand: of questions that have one, but are not done with it, as they wait for a
// subquestion or until clients have been told another answer. They stand in blocks of one size, so
// that few octets hold many usual answers and any may be long. Whoever puts one in has seen to it
// that no client network takes all (forward.h); the store says when it is full.

#define ANSWER_NONE UINT32_MAX

struct answer_block;

struct answer_store {
    struct answer_block *blocks;
    uint32_t free;  // the first of those that were given back, ANSWER_NONE: there is none
    uint32_t fresh; // from this one on none was ever used, and its memory not touched
    uint32_t used;
    uint32_t size; // blocks
};

// Octets for a store beside a table of so many questions.
[[nodiscard]] size_t answer_store_size(uint32_t questions);
void answer_store_init(struct answer_store *store, void *memory, uint32_t questions);

// Blocks that an answer takes.
[[nodiscard]] uint32_t answer_store_blocks(const struct answer *answer);

// Copies an answer with its value; what answer_parse has noted of the reply itself (its options) is
// left out. Returns what it is found by, or ANSWER_NONE where there are not enough blocks.
[[nodiscard]] uint32_t answer_store_put(struct answer_store *store, const struct answer *answer);

// Copies it back: `answer->value` has room for any.
void answer_store_get(const struct answer_store *store, uint32_t at, struct answer *answer);

// Gives its blocks back, and returns how many they were.
uint32_t answer_store_drop(struct answer_store *store, uint32_t at);
