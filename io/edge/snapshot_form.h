// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/answer.h"
#include "io/edge/snapshot.h"

#include <stdbool.h>

// The form of a snapshot's file, for who writes and who reads one; snapshot.h describes it.

enum {
    BLOCK_SIZE = 256 * 1024,
    VALUE_MIN = MESSAGE_HEADER_LEN + 5 + sizeof(struct answer_trailer), // for the root, no records
    KEY_MIN = KEY_HEAD_LEN + 1,
};

enum block_kind { BLOCK_COLD = 0x646c6f63, BLOCK_HOT = 0x20746f68, BLOCK_END = 0x20646e65 };

struct file_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t flags;
    uint64_t id;
    uint32_t begun_s;
    uint32_t unused[7];
    uint64_t checksum;
};

struct block_header {
    uint64_t checksum; // of all that follows in the block, with the file's id as the seed
    uint32_t kind;
    uint32_t len; // octets behind this header
    uint64_t position;
    uint32_t count;
    uint32_t unused;
};

struct block_end {
    uint64_t entries;
    uint64_t blocks; // before this one
};

struct entry_header {
    uint32_t value_len;
    uint16_t key_len;
    uint8_t hits;
    uint8_t asked;
    uint32_t birth_s;
    uint32_t expiry_s;
};

enum { ENTRIES_MAX = BLOCK_SIZE / (sizeof(struct entry_header) + VALUE_MIN + KEY_MIN) };

// A block as it lies in the file.
struct block {
    struct block_header header;
    uint8_t entries[BLOCK_SIZE - sizeof(struct block_header)];
};

// One entry in memory: of a block that was read, or a copy out of the cache.
struct entry {
    struct entry_header header;
    const uint8_t *value;
    const uint8_t *key;
    uint64_t hash; // with the cache's seed
};

[[nodiscard]] uint64_t snapshot_header_checksum(const struct file_header *header);

// Over all of the block behind its checksum.
[[nodiscard]] uint64_t snapshot_block_checksum(const struct block *block, uint64_t id);

// Would this be found, and given back without harm? NULL, or what it is instead.
[[nodiscard]] const char *snapshot_entry_fault(const struct entry *entry);

// Can an entry have such lengths?
[[nodiscard]] bool snapshot_lens_good(const struct entry_header *header);

// Its time is over, and so is that as a stale answer.
[[nodiscard]] bool snapshot_is_over(const struct cache *cache, uint32_t expiry_s, uint32_t now_s);

// Writes the sentence, and returns the error for the caller to return.
__attribute__((format(printf, 4, 5))) int snapshot_say(char why[static SNAPSHOT_WHY_SIZE],
                                                       int error, const char *path,
                                                       const char *format, ...);
