// SPDX-License-Identifier: MIT
#include "core/forward/answer_store.h"

#include <assert.h>

// An answer is a chain of blocks. The first begins with the struct, behind which the value goes on
// from block to block.

enum {
    BLOCK_SIZE = 512,
    BLOCKS_MIN = 512, // so that a quarter of them holds nearly the longest answer there is
};

struct answer_block {
    uint32_t next; // ANSWER_NONE: the last
    uint8_t octets[BLOCK_SIZE - sizeof(uint32_t)];
};

#define BLOCK_OCTETS sizeof(((struct answer_block *)0)->octets)

static uint32_t blocks_of(uint32_t questions)
{
    return questions > BLOCKS_MIN ? questions : BLOCKS_MIN;
}

size_t answer_store_size(uint32_t questions)
{
    return blocks_of(questions) * sizeof(struct answer_block);
}

void answer_store_init(struct answer_store *store, void *memory, uint32_t questions)
{
    *store =
        (struct answer_store){.blocks = memory, .free = ANSWER_NONE, .size = blocks_of(questions)};
}

uint32_t answer_store_blocks(const struct answer *answer)
{
    return (uint32_t)((sizeof *answer + answer->len + BLOCK_OCTETS - 1) / BLOCK_OCTETS);
}

static uint32_t block_reserve(struct answer_store *store)
{
    uint32_t at = store->free;
    if (at == ANSWER_NONE)
        at = store->fresh++;
    else
        store->free = store->blocks[at].next;
    assert(at < store->size);
    store->blocks[at].next = ANSWER_NONE;
    store->used++;
    return at;
}

uint32_t answer_store_put(struct answer_store *store, const struct answer *answer)
{
    struct answer header = *answer;
    header.value = NULL;
    header.options = NULL;
    header.options_len = 0;
    if (answer_store_blocks(answer) > store->size - store->used)
        return ANSWER_NONE;
    uint32_t first = block_reserve(store);
    uint32_t at = first;
    memcpy(store->blocks[at].octets, &header, sizeof header);
    size_t room_at = sizeof header;
    for (uint32_t done = 0; done < answer->len;) {
        if (room_at == BLOCK_OCTETS) {
            uint32_t next = block_reserve(store);
            store->blocks[at].next = next;
            at = next;
            room_at = 0;
        }
        size_t len = BLOCK_OCTETS - room_at;
        len = answer->len - done < len ? answer->len - done : len;
        memcpy(store->blocks[at].octets + room_at, answer->value + done, len);
        done += (uint32_t)len;
        room_at += len;
    }
    return first;
}

void answer_store_get(const struct answer_store *store, uint32_t at, struct answer *answer)
{
    uint8_t *value = answer->value;
    memcpy(answer, store->blocks[at].octets, sizeof *answer);
    answer->value = value;
    size_t room_at = sizeof *answer;
    for (uint32_t done = 0; done < answer->len; at = store->blocks[at].next, room_at = 0) {
        assert(at < store->size);
        size_t len = BLOCK_OCTETS - room_at;
        len = answer->len - done < len ? answer->len - done : len;
        memcpy(value + done, store->blocks[at].octets + room_at, len);
        done += (uint32_t)len;
    }
}

uint32_t answer_store_drop(struct answer_store *store, uint32_t at)
{
    uint32_t count = 0;
    while (at != ANSWER_NONE) {
        assert(at < store->size);
        uint32_t next = store->blocks[at].next;
        store->blocks[at].next = store->free;
        store->free = at;
        at = next;
        count++;
    }
    assert(count <= store->used);
    store->used -= count;
    return count;
}
