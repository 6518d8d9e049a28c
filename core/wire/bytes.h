// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Readers and writers of octets in network order, with a sticky error: the first access out of
// bounds sets `failed`, every later one is harmless (reads give 0, writes do nothing), and the
// caller asks once at the end. Neither owns the octets it works on.

struct reader {
    const uint8_t *bytes; // a whole message: compression pointers count from here
    size_t len;
    size_t at;        // next octet to read, always <= len
    size_t hops_left; // compression pointers that name_read may still follow
    bool failed;
};

struct writer {
    uint8_t *bytes;
    size_t size;
    size_t at; // octets written, always <= size
    bool failed;
};

static inline uint16_t load_be16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline void store_be16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof v);
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

// Words are little-endian, as they are in the machines this runs on.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "octets would have to be turned round");

// Eight octets as they stand, the first of them the lowest.
static inline uint64_t load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

// Eight or fewer in the same way, with zeros in place of the others, and none other is read.
static inline uint64_t load_part(const uint8_t *p, size_t count)
{
    uint32_t first, last;
    if (count >= sizeof first) {
        memcpy(&first, p, sizeof first);
        memcpy(&last, p + count - sizeof last, sizeof last);
        return first | (uint64_t)last << 8 * (count - sizeof last);
    }
    if (count == 0)
        return 0;
    // With one or two of them some are the same.
    return p[0] | (uint64_t)p[count / 2] << 8 * (count / 2) |
           (uint64_t)p[count - 1] << 8 * (count - 1);
}

static inline void store_word(uint8_t *p, uint64_t word)
{
    memcpy(p, &word, sizeof word);
}

// The lowest octets of a word, eight or fewer.
static inline void store_part(uint8_t *p, uint64_t word, size_t count)
{
    uint32_t first = (uint32_t)word, last;
    if (count >= sizeof first) {
        last = (uint32_t)(word >> 8 * (count - sizeof last));
        memcpy(p, &first, sizeof first);
        memcpy(p + count - sizeof last, &last, sizeof last);
        return;
    }
    for (size_t i = 0; i < count; i++)
        p[i] = (uint8_t)(word >> 8 * i);
}

// Copies what has some dozens of octets mostly, such as a question: the compiler would make of
// memcpy an instruction that takes longer to begin than that to end.
static inline void octets_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    if (len < 16) {
        memcpy(to, from, len);
        return;
    }
    for (; at < len - 16; at += 16)
        memcpy(to + at, from + at, 16);
    memcpy(to + len - 16, from + len - 16, 16);
}

static inline struct reader reader_over(const uint8_t *bytes, size_t len)
{
    return (struct reader){.bytes = bytes, .len = len, .hops_left = len};
}

// Returns the next `count` octets and steps over them, or NULL where fewer are left.
static inline const uint8_t *read_bytes(struct reader *r, size_t count)
{
    if (r->failed || r->len - r->at < count) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->bytes + r->at;
    r->at += count;
    return p;
}

static inline uint8_t read_u8(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 1);
    return p ? *p : 0;
}

static inline uint16_t read_u16(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 2);
    return p ? load_be16(p) : 0;
}

static inline uint32_t read_u32(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 4);
    return p ? load_be32(p) : 0;
}

static inline struct writer writer_over(uint8_t *bytes, size_t size)
{
    return (struct writer){.bytes = bytes, .size = size};
}

// Returns the place of the next `count` octets and steps over them, or NULL where they do not fit.
static inline uint8_t *write_room(struct writer *w, size_t count)
{
    if (w->failed || w->size - w->at < count) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->bytes + w->at;
    w->at += count;
    return p;
}

static inline void write_bytes(struct writer *w, const void *bytes, size_t count)
{
    uint8_t *p = write_room(w, count);
    if (p)
        memcpy(p, bytes, count);
}

static inline void write_u8(struct writer *w, uint8_t v)
{
    write_bytes(w, &v, 1);
}

static inline void write_u16(struct writer *w, uint16_t v)
{
    uint8_t *p = write_room(w, 2);
    if (p)
        store_be16(p, v);
}

static inline void write_u32(struct writer *w, uint32_t v)
{
    uint8_t *p = write_room(w, 4);
    if (p)
        store_be32(p, v);
}
