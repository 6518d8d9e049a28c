// SPDX-License-Identifier: MIT
#include "core/policy/block.h"
#include "tests/fuzz/target.h"

// A block list: the first octet says whether it is one of exceptions. All entries that its lines
// give are put into a set and must be found there, an exception as one.

enum { ENTRIES_MAX = 4096 };

static const struct suffix_seed seed = {0x0123456789abcdef, 0xfedcba9876543211};

struct list {
    uint64_t entries[ENTRIES_MAX];
    size_t count;
    bool allow;
};

static void line_take(struct list *list, const uint8_t *bytes, size_t len)
{
    static struct block_names names;
    struct input input = {bytes, len};
    uint8_t *line = input_copy(&input, &len);
    enum block_line verdict = block_line_read((const char *)line, len, list->allow, seed, &names);
    assert(names.count <= (len + 1) / 2 && names.count <= BLOCK_LINE_NAMES);
    assert((verdict == BLOCK_LINE_BAD) == (names.why != NULL));
    assert(verdict != BLOCK_LINE_TAKEN || names.count > 0);
    assert(names.count == 0 || verdict == BLOCK_LINE_TAKEN || verdict == BLOCK_LINE_BAD);
    for (size_t i = 0; i < names.count && list->count < ENTRIES_MAX; i++) {
        assert(names.entries[i] > BLOCK_ENTRY_ALLOW);
        assert(!list->allow || names.entries[i] & BLOCK_ENTRY_ALLOW);
        list->entries[list->count++] = names.entries[i];
    }
    free(line);
}

static void set_try(const struct list *list)
{
    uint64_t buckets = block_buckets(list->count);
    uint64_t *set = calloc(buckets * BLOCK_BUCKET, sizeof *set);
    assert(set);
    size_t distinct = 0, stored = 0;
    for (size_t i = 0; i < list->count; i++)
        distinct += block_add(set, buckets, list->entries[i]);
    for (size_t i = 0; i < buckets * BLOCK_BUCKET; i++)
        stored += set[i] != 0;
    assert(stored == distinct);
    for (size_t i = 0; i < list->count; i++) {
        enum block_verdict verdict = block_find(set, buckets, list->entries[i]);
        assert(verdict == BLOCK_EXCEPTED ||
               (verdict == BLOCK_LISTED && !(list->entries[i] & BLOCK_ENTRY_ALLOW)));
    }
    free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct list *list = calloc(1, sizeof *list);
    assert(list);
    list->allow = input_u8(&input) & 1;
    for (size_t at = 0; at < input.len;) {
        const uint8_t *end = memchr(input.bytes + at, '\n', input.len - at);
        size_t len = end ? (size_t)(end - input.bytes) - at : input.len - at;
        line_take(list, input.bytes + at, len);
        at += len + 1;
    }
    set_try(list);
    free(list);
    return 0;
}
