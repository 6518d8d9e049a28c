// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/answer.h"
#include "io/edge/snapshot_read.h"
#include "io/edge/snapshot_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// Damages snapshots in every way that a disk, a copy or an enemy may, and reads them. A damaged
// one must be refused with a sentence and leave the cache empty. In two thirds of the cases the
// checksums are made right again, so that the checks behind them are reached: then it must be
// refused too, or every answer that was taken must be one that can be given back: within bounds,
// to its own question, with records that end where the message does.
//
//   damage_snapshot             10,000 cases, TAP
//   damage_snapshot SEED COUNT  these cases alone, as a failed one names itself

enum {
    CASES = 10000,
    BASES = 4,
    NOW_S = 1000000,
    HEADER_LEN = 64,
    BLOCK_HEADER_LEN = 32,
    ENTRY_HEADER_LEN = 16,
    BLOCKS_MAX = 64,
    FILE_MAX = 2 << 20,
    REGION_SIZE = 3 << 20,
};

// --- the tools ---------------------------------------------------------------------------------

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static void *take(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
    must(memory != NULL, "no memory");
    memset(memory, 0, size);
    return memory;
}

static uint64_t get(const uint8_t *at, unsigned octets)
{
    uint64_t value = 0;
    memcpy(&value, at, octets);
    return value;
}

static void put(uint8_t *at, uint64_t value, unsigned octets)
{
    memcpy(at, &value, octets);
}

// --- what the snapshots hold -------------------------------------------------------------------

static void record_write(struct writer *w, const char *owner, size_t owner_len, uint16_t type,
                         const void *data, size_t data_len)
{
    write_bytes(w, owner, owner_len);
    write_u16(w, type);
    write_u16(w, CLASS_IN);
    write_u32(w, 300 + type);
    write_u16(w, (uint16_t)data_len);
    write_bytes(w, data, data_len);
}

// The records of the number's answer: a few addresses, an alias, a long text, or that there is
// nothing. Sets the counts and the rcode of the message.
static void records_write(struct writer *w, uint64_t number, uint16_t type)
{
    static const char soa[] = "\2ns\0\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\1\0";
    uint8_t data[256];
    memset(data, (int)(number & 0xff), sizeof data);
    uint16_t answers = 0, authority = 0;
    if (number % 7 == 0) {
        record_write(w, "\0", 1, TYPE_SOA, soa, sizeof soa - 1);
        authority = 1;
        w->bytes[3] |= number % 14 ? RCODE_NXDOMAIN : RCODE_NOERROR;
    } else if (type == TYPE_TXT) {
        data[0] = 255;
        for (unsigned count = number % 115 == 0 ? 150 : 1; count > 0; count--, answers++)
            record_write(w, "\xc0\x0c", 2, TYPE_TXT, data, sizeof data);
    } else {
        if (number % 5 == 0) {
            record_write(w, "\xc0\x0c", 2, TYPE_CNAME, "\1x\xc0\x0c", 4);
            answers++;
        }
        for (unsigned count = 1 + (unsigned)(number % 4); count > 0; count--, answers++) {
            data[0] = (uint8_t)count;
            record_write(w, "\xc0\x0c", 2, type, data, type == TYPE_A ? 4 : 16);
        }
    }
    store_be16(w->bytes + 6, answers);
    store_be16(w->bytes + 8, authority);
}

static void store(struct cache *cache, uint64_t number)
{
    static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_TXT};
    static const struct answer_limits limits = {
        .ttl_max_s = 86400, .ttl_negative_max_s = 3600, .udp_payload_max = 1232};
    static uint8_t value[ANSWER_SIZE_MAX], bytes[MESSAGE_LEN_MAX];
    struct name name = {.len = 1};
    char text[256];
    uint16_t type = types[number % 3];
    int len = snprintf(text, sizeof text, "n%llu.%.*s.example", (unsigned long long)number,
                       (int)(number * 7 % 60) + 1,
                       "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl");
    must(number == 1 || name_parse(&name, text, (size_t)len), "no name");
    struct upstream_query asked = {
        .name = name.bytes,
        .name_len = name.len,
        .type = type,
        .class = CLASS_IN,
        .udp_size = 1232,
        .checking_disabled = number & 1,
        .dnssec_ok = number & 2,
    };
    size_t query_len = upstream_query_write(bytes, &asked);
    struct query query;
    struct key key;
    must(query_read(&query, bytes, query_len) == QUERY_GOOD, "no query");
    key_make(&key, &query, cache->seed);

    struct writer w = writer_over(bytes, sizeof bytes);
    w.at = query_len - OPT_LEN;
    bytes[2] |= HEADER_QR;
    store_be16(bytes + 10, 0);
    records_write(&w, number, type);
    struct answer answer = {.value = value};
    must(!w.failed && answer_parse(&answer, bytes, w.at, &key, &limits) == REPLY_GOOD &&
             answer.lifetime_s > 0,
         "no answer");
    struct cache_key cache_key = key_for_cache(&key);
    struct cache_value entry = {value, answer.len, NOW_S - 100, NOW_S - 100 + answer.lifetime_s};
    struct cache_inserted inserted;
    must(cache_insert(cache, &cache_key, &entry, NOW_S, &inserted) == 0, "not stored");
    struct cache_hit hit;
    for (uint64_t i = number % 5; i < 2; i++)
        must(cache_lookup(cache, &cache_key, bytes, 0, &hit) == CACHE_HIT, "lost");
}

static void cache_make(struct cache *cache, void *region, uint32_t shards, uint64_t seed)
{
    memset(region, 0, REGION_SIZE);
    must(cache_format(cache, region, REGION_SIZE, shards, seed) == 0, "the region is too small");
}

// A snapshot that is whole, and the cache that it was written from.
struct base {
    struct cache cache;
    uint64_t entries;
    size_t len;
    uint8_t bytes[FILE_MAX];
};

static struct base *bases[BASES];

static void base_make(struct base *base, uint64_t count, uint64_t first, uint64_t stride,
                      const char *path)
{
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    cache_make(&base->cache, take(REGION_SIZE), 2, count);
    for (uint64_t i = 0; i < count; i++)
        store(&base->cache, first + i * stride);
    must(snapshot_write(&base->cache, path, NOW_S, &result, why) == 0, why);
    must(result.unfit == 0 && result.expired == 0, "an answer of our own was left out");
    base->entries = result.entries;
    FILE *file = fopen(path, "rb");
    must(file != NULL, "no snapshot");
    base->len = fread(base->bytes, 1, sizeof base->bytes, file);
    fclose(file);
    must(base->len == result.octets && base->len < sizeof base->bytes, "a snapshot too large");
}

// --- how they are damaged ----------------------------------------------------------------------

struct damage {
    uint64_t random;
    const struct base *base;
    size_t len;
    size_t blocks[BLOCKS_MAX + 1]; // where each begins, and the last one's end
    unsigned block_count;
    uint8_t bytes[FILE_MAX + (1 << 20)];
};

static uint64_t below(struct damage *d, uint64_t bound)
{
    return random_next(&d->random) % bound;
}

// Steps over whole blocks as the file's own lengths say.
static void blocks_find(struct damage *d)
{
    size_t at = HEADER_LEN;
    d->block_count = 0;
    d->blocks[0] = at;
    while (d->block_count < BLOCKS_MAX && d->len >= at + BLOCK_HEADER_LEN) {
        size_t len = BLOCK_HEADER_LEN + get(d->bytes + at + 12, 4);
        if (len > d->len - at)
            return;
        at += len;
        d->blocks[++d->block_count] = at;
    }
}

static void noise(struct damage *d, size_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        d->bytes[at + i] = (uint8_t)random_next(&d->random);
}

static void damage_bits(struct damage *d)
{
    for (uint64_t count = 1 + below(d, 8); count > 0; count--)
        d->bytes[below(d, d->len)] ^= (uint8_t)(1u << below(d, 8));
}

static void damage_octets(struct damage *d)
{
    size_t len = 1 + below(d, d->len < 64 ? d->len : 64);
    noise(d, below(d, d->len - len + 1), len);
}

static void damage_page(struct damage *d)
{
    size_t len = 1 + below(d, d->len < 4096 ? d->len : 4096);
    memset(d->bytes + below(d, d->len - len + 1), 0, len);
}

static void damage_cut(struct damage *d)
{
    size_t at = below(d, d->len);
    if (below(d, 20) == 0)
        at = 0;
    else if (below(d, 2)) // at a border, or close to it
        at = d->blocks[below(d, d->block_count)] + below(d, 3) - 1;
    d->len = at;
}

static void damage_grow(struct damage *d)
{
    size_t len = 1 + below(d, 100);
    noise(d, d->len, len);
    d->len += len;
}

static void damage_noise(struct damage *d)
{
    size_t keep = below(d, 3) * (HEADER_LEN / 2);
    d->len = keep + 1 + below(d, 5000);
    noise(d, keep, d->len - keep);
}

// Puts octets in the place of some.
static void splice(struct damage *d, size_t at, size_t old_len, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    must(copy != NULL, "no memory");
    memcpy(copy, bytes, len);
    memmove(d->bytes + at + len, d->bytes + at + old_len, d->len - at - old_len);
    memcpy(d->bytes + at, copy, len);
    free(copy);
    d->len += len - old_len;
}

static void damage_shift(struct damage *d)
{
    uint8_t fresh[16];
    size_t at = below(d, d->len - 16);
    for (size_t i = 0; i < sizeof fresh; i++)
        fresh[i] = (uint8_t)random_next(&d->random);
    if (below(d, 2))
        splice(d, at, 0, fresh, 1 + below(d, sizeof fresh));
    else
        splice(d, at, 1 + below(d, 16), fresh, 0);
}

static size_t block_len(const struct damage *d, unsigned index)
{
    return d->blocks[index + 1] - d->blocks[index];
}

static void damage_swap(struct damage *d)
{
    unsigned a = (unsigned)below(d, d->block_count), b = (unsigned)below(d, d->block_count);
    if (a > b) {
        unsigned other = a;
        a = b;
        b = other;
    }
    if (a == b)
        return;
    size_t a_len = block_len(d, a), b_len = block_len(d, b);
    uint8_t *copy = malloc(a_len + b_len);
    must(copy != NULL, "no memory");
    memcpy(copy, d->bytes + d->blocks[a], a_len);
    memcpy(copy + a_len, d->bytes + d->blocks[b], b_len);
    splice(d, d->blocks[b], b_len, copy, a_len);
    splice(d, d->blocks[a], a_len, copy + a_len, b_len);
    free(copy);
}

static void damage_drop(struct damage *d)
{
    unsigned index = (unsigned)below(d, d->block_count);
    splice(d, d->blocks[index], block_len(d, index), d->bytes, 0);
}

static void damage_double(struct damage *d)
{
    unsigned index = (unsigned)below(d, d->block_count);
    size_t to = d->blocks[below(d, d->block_count + 1)];
    splice(d, to, 0, d->bytes + d->blocks[index], block_len(d, index));
}

static void damage_foreign(struct damage *d)
{
    const struct base *other = bases[1 + below(d, BASES - 1)];
    unsigned index = (unsigned)below(d, d->block_count);
    size_t len = BLOCK_HEADER_LEN + get(other->bytes + HEADER_LEN + 12, 4);
    splice(d, d->blocks[index], block_len(d, index), other->bytes + HEADER_LEN, len);
}

// One number of the file's own structure, replaced by one that is near, small, large or any.
static void number_damage(struct damage *d, size_t at, unsigned octets)
{
    uint64_t value = get(d->bytes + at, octets);
    const uint64_t others[] = {0,
                               1,
                               value + 1,
                               value - 1,
                               value * 2,
                               UINT64_MAX,
                               UINT64_MAX >> 1,
                               random_next(&d->random),
                               below(d, 300)};
    put(d->bytes + at, others[below(d, sizeof others / sizeof *others)], octets);
}

static void header_damage(struct damage *d)
{
    static const struct {
        uint8_t at, octets;
    } fields[] = {{0, 8}, {8, 4}, {12, 4}, {16, 8}, {24, 4}, {28, 4}};
    size_t which = below(d, sizeof fields / sizeof *fields);
    number_damage(d, fields[which].at, fields[which].octets);
}

static void block_damage(struct damage *d)
{
    static const struct {
        uint8_t at, octets;
    } fields[] = {{8, 4}, {12, 4}, {16, 8}, {24, 4}, {28, 4}, {32, 8}, {40, 8}};
    size_t which = below(d, sizeof fields / sizeof *fields);
    number_damage(d, d->blocks[below(d, d->block_count)] + fields[which].at, fields[which].octets);
}

// The lengths, marks and times of an entry; or its key's head and name, the header, the question
// and the trailer of its value.
static void entry_damage(struct damage *d)
{
    unsigned index = (unsigned)below(d, d->block_count);
    uint8_t *block = d->bytes + d->blocks[index];
    uint64_t count = get(block + 24, 4), skip = count ? below(d, count) : 0;
    size_t at = d->blocks[index] + BLOCK_HEADER_LEN;
    if (count == 0)
        return;
    for (; skip > 0; skip--)
        at += ENTRY_HEADER_LEN + get(d->bytes + at, 4) + get(d->bytes + at + 4, 2);
    size_t value = at + ENTRY_HEADER_LEN, key = value + get(d->bytes + at, 4);
    size_t key_len = get(d->bytes + at + 4, 2);
    const struct {
        size_t at;
        unsigned octets;
    } fields[] = {
        {at, 4},
        {at + 4, 2},
        {at + 6, 1},
        {at + 7, 1},
        {at + 8, 4},
        {at + 12, 4},
        {key, 2},
        {key + 2, 2},
        {key + 4, 1},
        {key + 5, 1},
        {key + 6, 1},
        {key + key_len - 1, 1},
        {value + 2, 1},
        {value + 3, 1},
        {value + 4, 2},
        {value + 6, 2},
        {value + 8, 2},
        {value + 10, 2},
        {value + 12, 1},
        {value + 13, 1},
        {key - 2, 2},
        {key - 4, 2},
        {key - 6, 2},
        {key - 8, 2},
        {key - 10, 2},
        {key - 12, 2},
        {key - 14, 2},
        {key - 1, 1},
        {value + 12 + below(d, key - value - 12), 1},
    };
    size_t which = below(d, sizeof fields / sizeof *fields);
    number_damage(d, fields[which].at, fields[which].octets);
}

static const struct {
    const char *name;
    void (*damage)(struct damage *d);
} kinds[] = {
    {"bits", damage_bits},
    {"octets", damage_octets},
    {"a lost page", damage_page},
    {"cut", damage_cut},
    {"grown", damage_grow},
    {"noise", damage_noise},
    {"octets put in or taken out", damage_shift},
    {"blocks swapped", damage_swap},
    {"a block left out", damage_drop},
    {"a block twice", damage_double},
    {"a block of another snapshot", damage_foreign},
    {"a number of the header", header_damage},
    {"a number of a block", block_damage},
    {"a number of an entry", entry_damage},
    {"another number of an entry", entry_damage},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

// --- how the damage is hidden ------------------------------------------------------------------

enum hiding { HIDE_NOTHING, HIDE_CHECKSUMS, HIDE_ALL, HIDINGS };

// Makes the checksums right; and with HIDE_ALL the places of the blocks and the totals too.
static void hide(struct damage *d, enum hiding hiding)
{
    uint64_t entries = 0;
    if (d->len < HEADER_LEN || hiding == HIDE_NOTHING)
        return;
    put(d->bytes + 56, XXH3_64bits_withSeed(d->bytes, 56, 0), 8);
    blocks_find(d);
    uint64_t id = get(d->bytes + 16, 8);
    for (unsigned i = 0; i < d->block_count; i++) {
        uint8_t *block = d->bytes + d->blocks[i];
        bool last = i + 1 == d->block_count && block_len(d, i) == BLOCK_HEADER_LEN + 16;
        if (hiding == HIDE_ALL) {
            put(block + 16, i, 8);
            if (last) {
                put(block + 32, entries, 8);
                put(block + 40, i, 8);
            }
        }
        entries += get(block + 24, 4);
        put(block, XXH3_64bits_withSeed(block + 8, block_len(d, i) - 8, id), 8);
    }
}

// --- what must come of it ----------------------------------------------------------------------

struct reader_of_names {
    const uint8_t *bytes;
    size_t len, at;
};

// Steps over a name as it stands, without following where it points.
static bool plain_skip(struct reader_of_names *r)
{
    while (r->at < r->len) {
        uint8_t label = r->bytes[r->at];
        r->at += label >= 0xc0 ? 2u : 1u + label;
        if (label == 0 || label >= 0xc0)
            return r->at <= r->len;
    }
    return false;
}

static const char *reply_fault(const uint8_t *reply, size_t len, const struct query *query)
{
    size_t question_len = query->name_len + 4u;
    if (len < 12 + question_len || load_be16(reply) != query->id || !(reply[2] & HEADER_QR) ||
        load_be16(reply + 4) != 1)
        return "the reply's header is wrong";
    if (memcmp(reply + 12, query->message + 12, question_len) != 0)
        return "the reply is to another question";
    unsigned records = load_be16(reply + 6) + load_be16(reply + 8) + load_be16(reply + 10);
    struct reader_of_names r = {reply, len, 12 + question_len};
    for (; records > 0; records--) {
        if (!plain_skip(&r) || len - r.at < 10)
            return "a record of the reply is cut";
        size_t data_len = load_be16(reply + r.at + 8);
        if (load_be32(reply + r.at + 4) > 0x7fffffff && load_be16(reply + r.at) != TYPE_OPT)
            return "a TTL of the reply is negative";
        if (len - r.at - 10 < data_len)
            return "a record's data is cut";
        r.at += 10 + data_len;
    }
    return r.at == len ? NULL : "the reply is longer than its records";
}

// Gives out an answer to a lookup of its key, in memory of the exact size.
static const char *give_fault(struct damage *d, const struct cache_copy *copy, uint16_t payload_max)
{
    const uint8_t *key = copy->bytes + copy->value_len;
    struct answer_limits limits = {.udp_payload_max = payload_max, .rotate = true};
    uint16_t type = load_be16(key) ? load_be16(key) : TYPE_A;
    uint8_t asked[MESSAGE_UDP_MIN];
    struct query query;
    struct upstream_query wanted = {
        .id = (uint16_t)below(d, 65536),
        .name = key + 5,
        .name_len = (uint8_t)(copy->key_len - 5),
        .type = type,
        .class = load_be16(key + 2),
        .udp_size = payload_max,
        .checking_disabled = key[4] & KEY_CD,
        .dnssec_ok = key[4] & KEY_DO,
    };
    size_t asked_len = upstream_query_write(asked, &wanted);
    asked[10] = 0;
    asked[11] = (uint8_t)below(d, 2); // with OPT or without
    if (asked[11] == 0)
        asked_len -= OPT_LEN;
    (void)query_read(&query, asked, asked_len);

    size_t room = payload_max == 65535 ? ANSWER_SIZE_MAX : payload_max + payload_max / 5u + 64;
    uint8_t *out = malloc(room);
    must(out != NULL, "no memory");
    memcpy(out, copy->bytes, copy->value_len < room ? copy->value_len : room);
    struct answer_giving giving = {
        .age_s = (uint32_t)below(d, 1000), .turn = (uint32_t)below(d, 100), .stale = below(d, 2)};
    size_t len = answer_give(out, room, copy->value_len, &query, &giving, &limits);
    const char *fault = len <= room ? reply_fault(out, len, &query) : "the reply has no room";
    if (len > query_reply_max(&query, payload_max))
        fault = "the reply is longer than the client takes";
    free(out);
    return fault;
}

// Is this the very entry that the snapshot was written from?
static bool is_original(const struct base *base, const struct cache_copy *copy)
{
    static uint8_t value[CACHE_VALUE_MAX];
    const uint8_t *bytes = copy->bytes + copy->value_len;
    struct cache_key key = {
        .hash = key_hash(bytes, copy->key_len, base->cache.seed),
        .bytes = bytes,
        .len = copy->key_len,
    };
    struct cache_hit hit;
    return cache_lookup(&base->cache, &key, value, sizeof value, &hit) == CACHE_HIT &&
           hit.value_len == copy->value_len && memcmp(value, copy->bytes, hit.value_len) == 0 &&
           hit.birth_s == copy->birth_s && hit.expiry_s == copy->expiry_s;
}

static const char *entry_judge(struct damage *d, const struct cache_copy *copy, uint64_t *changed)
{
    static const uint16_t payloads[] = {512, 1232, 4096, 65535};
    bool original = is_original(d->base, copy);
    if (copy->birth_s > NOW_S || copy->expiry_s <= NOW_S)
        return "an entry lives that should not";
    // The name and class of the key's own question; the type is that, too, where it has one.
    const uint8_t *key = copy->bytes + copy->value_len, *question = copy->bytes + 12;
    size_t name_len = copy->key_len - 5u;
    if (memcmp(question, key + 5, name_len) != 0 ||
        memcmp(question + name_len + 2, key + 2, 2) != 0 ||
        (load_be16(key) && memcmp(question + name_len, key, 2) != 0))
        return "an answer stands under another question than its own";
    *changed += !original;
    if (original && below(d, 50))
        return NULL;
    const char *fault = NULL;
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads && !fault; i++)
        fault = give_fault(d, copy, payloads[i]);
    return fault;
}

struct verdict {
    bool loaded;
    uint64_t changed; // entries that are not as they were written
    char why[SNAPSHOT_WHY_SIZE];
};

static const char *cache_judge(struct damage *d, const struct cache *cache, uint64_t *changed,
                               uint64_t entries)
{
    static struct cache_copy copy;
    struct cache_cursor cursor = {0};
    struct cache_use use;
    cache_use(cache, &use);
    if (use.entries != entries)
        return "the number of entries is not as it was said";
    for (uint32_t shard = 0; shard < cache->shard_count; shard++) {
        const char *fault = cache_verify(cache, shard);
        if (fault)
            return fault;
    }
    while (cache_walk(cache, &cursor, &copy)) {
        const char *fault = entry_judge(d, &copy, changed);
        if (fault)
            return fault;
    }
    return NULL;
}

// Reads the damaged snapshot; returns what is wrong with what came of it, or NULL.
static const char *judge(struct damage *d, enum hiding hiding, struct verdict *verdict)
{
    static void *region;
    struct cache cache;
    struct snapshot_result result;
    char path[] = "/tmp/ouzel-damaged-XXXXXX"; // no link, as in /proc: that is not read
    bool same = d->len == d->base->len && memcmp(d->bytes, d->base->bytes, d->len) == 0;
    int fd = mkstemp(path);
    must(fd >= 0 && write(fd, d->bytes, d->len) == (ssize_t)d->len, "cannot write the snapshot");
    region = region ? region : take(REGION_SIZE);
    uint32_t shards = 1 + (uint32_t)below(d, 4);
    cache_make(&cache, region, shards, random_next(&d->random));
    int error = snapshot_read(&cache, path, NOW_S, NULL, &result, verdict->why);
    unlink(path);
    close(fd);
    verdict->loaded = error == 0;
    verdict->changed = 0;
    if (error < 0) {
        if (error != -EBADMSG || strlen(verdict->why) < 20)
            return "the refusal says nothing";
        if (same)
            return "a good snapshot is refused";
        return cache_judge(d, &cache, &verdict->changed, 0);
    }
    if (!same && hiding == HIDE_NOTHING)
        return "a damaged snapshot is taken";
    const char *fault = cache_judge(d, &cache, &verdict->changed, result.entries);
    if (fault || !same)
        return fault;
    // With another seed a few may find no slot.
    if (verdict->changed || result.entries + result.unfit != d->base->entries ||
        result.unfit > d->base->entries / 1000)
        return "a good snapshot is not taken whole";
    return NULL;
}

// --- the run -----------------------------------------------------------------------------------

// Each of these must have been said in a full run, or a check was never reached.
static const char *const sentences[] = {
    "is empty",
    "is no snapshot of ouzel",
    "its header is not whole",
    "is of an older version",
    "is of a newer version",
    "its header has a wrong checksum",
    "has flags that this ouzel does not know",
    "is from the future",
    "is cut: it ends before block",
    "is cut: it ends within block",
    "has a wrong checksum",
    "belongs in another place",
    "has an impossible length",
    "has an impossible number of entries",
    "ends within an entry",
    "holds an entry of an impossible length",
    "holds more than its entries",
    "is of a kind that does not exist",
    "is no end",
    "says another number of entries",
    "octets at its end",
    "an entry with an impossible mark",
    "an entry that ends before it begins",
    "a key that is no question",
    "a key with upper-case letters",
    "a value that is no answer",
    "an answer to another question",
};

enum { SENTENCES = sizeof sentences / sizeof *sentences };

struct tally {
    uint64_t cases[KINDS];
    uint64_t refused[KINDS];
    uint64_t loaded[KINDS];
    uint64_t changed[KINDS];
    bool failed[KINDS];
    uint64_t said[SENTENCES];
    uint64_t unknown;
};

static bool one_case(struct damage *d, uint64_t seed, struct tally *tally)
{
    unsigned kind = (unsigned)(seed % KINDS);
    d->random = seed;
    enum hiding hiding = (enum hiding)below(d, HIDINGS);
    // A cache without answers makes the smallest snapshot; the others are more of a target.
    d->base = bases[below(d, 8) ? 1 + below(d, BASES - 1) : 0];
    d->len = d->base->len;
    memcpy(d->bytes, d->base->bytes, d->len);
    blocks_find(d);
    kinds[kind].damage(d);
    hide(d, hiding);
    struct verdict verdict;
    const char *fault = judge(d, hiding, &verdict);
    tally->cases[kind]++;
    tally->refused[kind] += !verdict.loaded;
    tally->loaded[kind] += verdict.loaded;
    tally->changed[kind] += verdict.changed;
    size_t said = 0;
    while (!verdict.loaded && said < SENTENCES && !strstr(verdict.why, sentences[said]))
        said++;
    if (!verdict.loaded && said == SENTENCES)
        fault = fault ? fault : "a sentence that the test does not know";
    else if (!verdict.loaded)
        tally->said[said]++;
    if (!fault)
        return true;
    tally->failed[kind] = true;
    printf("# %s: %s%s%s; again with: damage_snapshot %llu 1\n", kinds[kind].name, fault,
           verdict.loaded ? "" : ": ", verdict.loaded ? "" : verdict.why, (unsigned long long)seed);
    return false;
}

static void tell(const struct tally *tally, bool full)
{
    unsigned missing = 0;
    for (unsigned kind = 0; kind < KINDS; kind++)
        printf("%s %u - %s: %llu refused, %llu taken with %llu entries that are sound but not as "
               "they were\n",
               tally->failed[kind] ? "not ok" : "ok", kind + 1, kinds[kind].name,
               (unsigned long long)tally->refused[kind], (unsigned long long)tally->loaded[kind],
               (unsigned long long)tally->changed[kind]);
    for (unsigned i = 0; i < SENTENCES; i++) {
        printf("# %6llu times: %s\n", (unsigned long long)tally->said[i], sentences[i]);
        missing += full && tally->said[i] == 0;
    }
    printf("%s %u - every check has refused something\n1..%u\n", missing ? "not ok" : "ok",
           KINDS + 1, KINDS + 1);
}

int main(int argument_count, char **arguments)
{
    char directory[] = "/tmp/ouzel-damage-XXXXXX", path[64];
    bool full = argument_count != 3, good = true;
    must(argument_count == 1 || argument_count == 3, "usage: damage_snapshot [SEED COUNT]");
    must(mkdtemp(directory) != NULL, "no directory");
    snprintf(path, sizeof path, "%s/snapshot", directory);
    static const struct {
        uint64_t count, first, stride;
    } contents[BASES] = {{0, 1, 1}, {30, 1, 1}, {3000, 1, 1}, {10, 230, 345}};
    for (unsigned i = 0; i < BASES; i++) {
        bases[i] = take(sizeof *bases[i]);
        base_make(bases[i], contents[i].count, contents[i].first, contents[i].stride, path);
    }
    unlink(path);
    rmdir(directory);

    uint64_t seed = full ? 1 : strtoull(arguments[1], NULL, 0);
    uint64_t count = full ? CASES : strtoull(arguments[2], NULL, 0);
    static struct tally tally;
    struct damage *d = take(sizeof *d);
    for (uint64_t i = 0; i < count; i++)
        good = one_case(d, seed + i, &tally) && good;
    tell(&tally, full);
    free(d);
    for (unsigned i = 0; i < BASES; i++) {
        free(bases[i]->cache.region);
        free(bases[i]);
    }
    return good ? 0 : 1;
}
