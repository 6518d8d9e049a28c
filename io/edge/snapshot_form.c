// SPDX-License-Identifier: MIT
#include "io/edge/snapshot_form.h"

#include "core/wire/checksum.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");
_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct block_header) == 32 &&
                   sizeof(struct block_end) == 16 && sizeof(struct entry_header) == 16,
               "the file has no gaps");
_Static_assert(sizeof(struct block_header) + sizeof(struct entry_header) + CACHE_VALUE_MAX +
                       CACHE_KEY_MAX <=
                   BLOCK_SIZE,
               "each entry fits in a block");

uint64_t snapshot_header_checksum(const struct file_header *header)
{
    return checksum_of(header, offsetof(struct file_header, checksum), 0);
}

uint64_t snapshot_block_checksum(const struct block *block, uint64_t id)
{
    size_t skip = sizeof block->header.checksum;
    return checksum_of((const uint8_t *)block + skip,
                       sizeof block->header + block->header.len - skip, id);
}

int snapshot_say(char why[static SNAPSHOT_WHY_SIZE], int error, const char *path,
                 const char *format, ...)
{
    int len = snprintf(why, SNAPSHOT_WHY_SIZE, "the snapshot %.400s ", path);
    assert(len > 0 && len < SNAPSHOT_WHY_SIZE);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why + len, SNAPSHOT_WHY_SIZE - (size_t)len, format, arguments);
    va_end(arguments);
    return error;
}

// An answer is kept under its own question, in
// lower case (core/wire/key.h); that a name does not exist may be kept for all types, as type 0.
const char *snapshot_entry_fault(const struct entry *entry)
{
    const uint8_t *key = entry->key, *value = entry->value;
    size_t name_len = entry->header.key_len - KEY_HEAD_LEN;
    uint8_t lower[NAME_MAX_LEN];
    if (entry->header.hits > CACHE_HITS_MAX || entry->header.asked > CACHE_HITS_MAX)
        return "an entry with an impossible mark";
    if (entry->header.birth_s >= entry->header.expiry_s)
        return "an entry that ends before it begins";
    if (name_length(key + KEY_HEAD_LEN, name_len) != name_len || load_be16(key + 2) != CLASS_IN ||
        key[4] & ~(KEY_DO | KEY_CD))
        return "a key that is no question";
    name_lower(lower, key + KEY_HEAD_LEN, name_len);
    if (memcmp(lower, key + KEY_HEAD_LEN, name_len) != 0)
        return "a key with upper-case letters";
    if (!answer_check(value, entry->header.value_len))
        return "a value that is no answer";
    // The value is longer than its question, as answer_check has seen, though maybe not this one.
    const uint8_t *question = value + MESSAGE_HEADER_LEN;
    bool any_type = load_be16(key) == 0 && (value[3] & HEADER_RCODE) == RCODE_NXDOMAIN;
    if (entry->header.value_len < MESSAGE_HEADER_LEN + name_len + 4 ||
        memcmp(question, key + KEY_HEAD_LEN, name_len) != 0 ||
        (memcmp(question + name_len, key, 2) != 0 && !any_type) ||
        memcmp(question + name_len + 2, key + 2, 2) != 0)
        return "an answer to another question than its key's";
    return NULL;
}

bool snapshot_lens_good(const struct entry_header *header)
{
    return header->key_len >= KEY_MIN && header->key_len <= KEY_LEN_MAX &&
           header->value_len >= VALUE_MIN && header->value_len <= CACHE_VALUE_MAX;
}

bool snapshot_is_over(const struct cache *cache, uint32_t expiry_s, uint32_t now_s)
{
    return now_s >= (uint64_t)expiry_s + cache->stale_s;
}
