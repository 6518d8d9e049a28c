// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"

// Answers in hand: those of questions that wait for a subquestion, or for another answer to be
// drained first. They are stored in chains of blocks of one size, so that usual answers take little
// room and any may be long. The caller bounds what a client network may take (subquestion.h); the
// store only says when it is full.

#define ANSWER_NONE UINT32_MAX

struct answer_block;

struct answer_store {
    struct answer_block *blocks;
    uint32_t free;  // first of the freed blocks, ANSWER_NONE: there is none
    uint32_t fresh; // this block and those behind it were never used; their memory is untouched
    uint32_t used;
    uint32_t size; // blocks
};

// Octets of a store for a table of `questions` questions.
[[nodiscard]] size_t answer_store_size(uint32_t questions);
void answer_store_init(struct answer_store *store, void *memory, uint32_t questions);

// Blocks that an answer takes.
[[nodiscard]] uint32_t answer_store_blocks(const struct answer *answer);

// Copies an answer and its value, without the options, which point into the reply. Returns its
// first block, or ANSWER_NONE where there are not enough.
[[nodiscard]] uint32_t answer_store_put(struct answer_store *store, const struct answer *answer);

// Copies it back; `answer->value` must have room for ANSWER_SIZE_MAX octets.
void answer_store_get(const struct answer_store *store, uint32_t at, struct answer *answer);

// Frees its blocks and returns their number.
uint32_t answer_store_drop(struct answer_store *store, uint32_t at);
