// SPDX-License-Identifier: MIT
#include "core/policy/local.h"

#include "core/policy/hosts.h"
#include "core/policy/local_block.h"
#include "core/wire/checksum.h"
#include "core/wire/lower.h"

#include <assert.h>

// Making a block. The draft's items are records in the order in which they were added; making them
// into names links those of one name into a chain that begins with its first, found by the table
// that will be the block's: until a name is written its slot leads to its first item. Then each
// chain becomes a name with its sets, and the slot leads to that.

enum {
    ITEM_HOSTS = 1,      // gives way to what contradicts it
    ITEM_FIRST_ONLY = 2, // and to another record of its type
    CHAIN_MAX = 2000,    // records of a name: so many addresses make an RRset that is not too long
    SET_LEN_MAX = 60000, // octets of an RRset: what a message could hold
    RECORD_HEAD = 12,    // pointer, type, class, TTL, length
    NO_TYPE = 0,         // of an item that says something of the name and is no record
};

struct item {
    uint64_t hash;
    uint32_t next; // of the chain, in eights of octets from the draft, and 1; 0: the last
    uint32_t last; // of the first item: the chain's last
    uint32_t tag;
    uint32_t ttl;
    uint16_t type;
    uint16_t data_len;
    uint16_t chain_len; // of the first item
    uint8_t flags;
    uint8_t name_len;
    uint8_t special; // as in local_name
    uint8_t bytes[]; // the name, the data
};

static size_t aligned(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

static size_t item_size(size_t name_len, size_t data_len)
{
    return aligned(offsetof(struct item, bytes) + name_len + data_len, 8);
}

static struct item *item_at(const struct local_draft *draft, size_t at)
{
    return (void *)(draft->bytes + at);
}

static uint32_t place_of(const struct local_draft *draft, const struct item *item)
{
    return (uint32_t)((size_t)((const uint8_t *)item - draft->bytes) / 8) + 1;
}

static struct item *item_of_place(const struct local_draft *draft, uint32_t place)
{
    return place ? item_at(draft, (size_t)(place - 1) * 8) : NULL;
}

static const uint8_t *item_data(const struct item *item)
{
    return item->bytes + item->name_len;
}

// --- the draft ---------------------------------------------------------------------------------

void local_draft(struct local_draft *draft, uint64_t seed)
{
    *draft = (struct local_draft){.seed = suffix_seed_of(seed)};
}

void local_add_line(struct local_draft *draft, const char *line, size_t len, bool allow)
{
    draft->fingerprint = checksum_of(line, len, draft->fingerprint + allow);
}

// The name is lowered here; the head says the rest.
static bool item_add(struct local_draft *draft, const struct name *name, const struct item *head,
                     const uint8_t *data)
{
    size_t size = item_size(name->len, head->data_len);
    if (draft->size - draft->used < size || draft->used / 8 >= UINT32_MAX - 1)
        return false;
    struct item *item = item_at(draft, draft->used);
    *item = *head;
    item->name_len = name->len;
    name_lower(item->bytes, name->bytes, name->len);
    if (head->data_len)
        memcpy(item->bytes + name->len, data, head->data_len);
    item->hash = suffix_hash(draft->seed, item->bytes);
    uint64_t print = checksum_of(item->bytes, name->len, draft->fingerprint);
    uint32_t what[4] = {head->type, head->ttl, head->data_len, head->special};
    print = checksum_of(what, sizeof what, print);
    draft->fingerprint = checksum_of(item_data(item), head->data_len, print);
    draft->used += size;
    draft->item_count++;
    draft->bound += aligned(
        local_sets_at(name->len) + sizeof(struct local_set) + RECORD_HEAD + head->data_len, 8);
    return true;
}

bool local_add_record(struct local_draft *draft, const struct text_record *record, uint32_t tag)
{
    struct item head = {
        .type = record->type, .ttl = record->ttl, .data_len = record->data_len, .tag = tag};
    return item_add(draft, &record->owner, &head, record->data);
}

bool local_add_host(struct local_draft *draft, const struct name *name,
                    const struct prefix *address, uint32_t ttl, bool canonical)
{
    static const uint8_t zero[16];
    bool ipv4 = address->family == ADDRESS_IPV4;
    struct local_draft before = *draft;
    struct item head = {
        .type = ipv4 ? TYPE_A : TYPE_AAAA,
        .ttl = ttl,
        .data_len = ipv4 ? 4 : 16,
        .flags = ITEM_HOSTS,
    };
    struct item reverse = {
        .type = TYPE_PTR,
        .ttl = ttl,
        .data_len = name->len,
        .flags = ITEM_HOSTS | ITEM_FIRST_ONLY,
    };
    struct name under;
    if (!item_add(draft, name, &head, address->ip))
        return false;
    if (!canonical || memcmp(address->ip, zero, sizeof zero) == 0)
        return true;
    reverse_name(&under, address);
    if (item_add(draft, &under, &reverse, name->bytes))
        return true;
    *draft = before;
    return false;
}

// Does the name lie in a special zone?
static bool is_special(const struct name *name)
{
    for (size_t i = 0; i < special_count; i++) {
        struct name zone;
        special_name(&specials[i], &zone);
        if (name_within(name, &zone))
            return true;
    }
    return false;
}

bool local_add_special(struct local_draft *draft, const struct settings *settings)
{
    struct local_draft before = *draft;
    bool room = true;
    if (!settings->local_special_names)
        return true;
    for (size_t i = 0; i < special_count && room; i++) {
        struct name zone;
        special_name(&specials[i], &zone);
        struct item head = {.special = (uint8_t)(i + 1)};
        room = item_add(draft, &zone, &head, NULL);
    }
    for (size_t i = 0; i < settings->forward.count && room; i++) {
        const struct name *zone = &settings->forward.items[i].zone;
        struct item head = {.special = LOCAL_SPECIAL_PASS};
        if (is_special(zone))
            room = item_add(draft, zone, &head, NULL);
    }
    if (!room)
        *draft = before;
    return room;
}

// --- the block ---------------------------------------------------------------------------------

// Bits of the filter: sixteen for each name, a power of two.
static size_t filter_bits(const struct local_making *making)
{
    size_t bits = (size_t)1 << 14;
    while (bits < 16 * (making->draft->item_count + making->entry_count))
        bits *= 2;
    return bits;
}

static size_t table_places(const struct local_making *making)
{
    size_t places = 2;
    while (places < 2 * making->draft->item_count)
        places *= 2;
    return places;
}

static uint64_t bucket_count(const struct local_making *making)
{
    return making->entry_count ? block_buckets(making->entry_count) : 0;
}

// Lays the block out but for the names, which end where the buckets begin; returns its size.
static size_t layout(const struct local_making *making, struct local *local)
{
    local->filter_at = aligned(sizeof *local, 64);
    local->table_at = local->filter_at + filter_bits(making) / 8;
    size_t names_at = local->table_at + aligned(4 * table_places(making), 64);
    local->buckets_at = aligned(names_at + making->draft->bound, 64);
    local->bucket_count = bucket_count(making);
    return local->buckets_at + local->bucket_count * BLOCK_BUCKET * sizeof(uint64_t);
}

size_t local_size(const struct local_making *making)
{
    struct local local;
    return layout(making, &local);
}

struct build {
    struct local_making *making;
    struct local_draft *draft;
    struct local *local;
    uint32_t *table;
    size_t names_end;
};

static bool problem(struct build *b, const struct item *item, const char *why)
{
    b->making->tag = item->tag;
    b->making->why = why;
    return false;
}

static void filter_set(struct local *local, uint64_t hash)
{
    uint64_t bit = hash >> local->filter_shift;
    uint64_t *words = (void *)((uint8_t *)local + local->filter_at);
    words[bit / 64] |= (uint64_t)1 << bit % 64;
}

static bool same_name(const struct item *a, const struct item *b)
{
    return a->hash == b->hash && a->name_len == b->name_len &&
           memcmp(a->bytes, b->bytes, a->name_len) == 0;
}

// Where the names begin that a record's data ends in, whose case does not count (RFC 4343 3).
static size_t names_at(uint16_t type, size_t data_len)
{
    switch (type) {
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME:
        return 0;
    case TYPE_MX:
        return 2;
    case TYPE_SRV:
        return 6;
    default:
        return data_len;
    }
}

static bool same_data(const struct item *a, const struct item *b)
{
    size_t exact = names_at(a->type, a->data_len);
    return a->data_len == b->data_len && memcmp(item_data(a), item_data(b), exact) == 0 &&
           lower_equal(item_data(a) + exact, item_data(b) + exact, a->data_len - exact);
}

enum fit { FIT_GOOD, FIT_REPEATED, FIT_CONTRADICTS };

// How a record stands to one that is there.
static enum fit fit_of(const struct item *there, const struct item *item)
{
    if (there->type == NO_TYPE || item->type == NO_TYPE)
        return FIT_GOOD;
    bool same_type = there->type == item->type;
    if (same_type && (item->flags & ITEM_FIRST_ONLY || same_data(there, item)))
        return FIT_REPEATED;
    bool cname = there->type == TYPE_CNAME || item->type == TYPE_CNAME;
    return cname ? FIT_CONTRADICTS : FIT_GOOD;
}

// Adds an item to the chain of its name. False: it contradicts another.
static bool chain_add(struct build *b, struct item *first, struct item *item)
{
    for (struct item *there = first; there; there = item_of_place(b->draft, there->next)) {
        switch (fit_of(there, item)) {
        case FIT_GOOD:
            continue;
        case FIT_REPEATED:
            there->ttl = item->ttl < there->ttl ? item->ttl : there->ttl;
            return true;
        case FIT_CONTRADICTS:
            if (!(item->flags & ITEM_HOSTS))
                return problem(b, item, "a CNAME cannot share its name with other records");
            b->local->counts.left_out++;
            return true;
        }
    }
    if (first->chain_len == CHAIN_MAX) {
        if (!(item->flags & ITEM_HOSTS))
            return problem(b, item, "its name has too many records");
        b->local->counts.left_out++;
        return true;
    }
    struct item *last = item_of_place(b->draft, first->last);
    last->next = place_of(b->draft, item);
    first->last = last->next;
    first->chain_len++;
    return true;
}

static bool item_insert(struct build *b, struct item *item)
{
    uint64_t at = item->hash;
    for (; b->table[at & b->local->table_mask] != 0; at++) {
        struct item *first = item_of_place(b->draft, b->table[at & b->local->table_mask]);
        if (same_name(first, item))
            return chain_add(b, first, item);
    }
    item->last = place_of(b->draft, item);
    item->chain_len = 1;
    b->table[at & b->local->table_mask] = item->last;
    filter_set(b->local, item->hash);
    return true;
}

static uint8_t *record_write(uint8_t *out, const struct item *item, uint32_t ttl)
{
    store_be16(out, 0xc000 | MESSAGE_HEADER_LEN);
    store_be16(out + 2, item->type);
    store_be16(out + 4, CLASS_IN);
    store_be32(out + 6, ttl);
    store_be16(out + 10, item->data_len);
    memcpy(out + RECORD_HEAD, item_data(item), item->data_len);
    return out + RECORD_HEAD + item->data_len;
}

// Writes all records of the type of `item`, the first of its type in its chain; all get the lowest
// TTL (RFC 2181 5.2). They are marked as written by having no type any more.
static uint8_t *set_write(struct build *b, struct local_set *set, struct item *item, uint8_t *out,
                          uint32_t *ttl)
{
    uint8_t *start = out;
    uint16_t type = item->type;
    *ttl = item->ttl;
    for (struct item *i = item; i; i = item_of_place(b->draft, i->next)) {
        if (i->type == type && i->ttl < *ttl)
            *ttl = i->ttl;
    }
    *set = (struct local_set){.type = type};
    for (struct item *i = item; i; i = item_of_place(b->draft, i->next)) {
        if (i->type != type)
            continue;
        out = record_write(out, i, *ttl);
        i->type = NO_TYPE;
        set->count++;
    }
    set->len = (uint32_t)(out - start);
    if (type == TYPE_A || type == TYPE_AAAA)
        set->stride = (uint16_t)(RECORD_HEAD + item->data_len);
    return out;
}

static size_t chain_sets(const struct build *b, const struct item *first)
{
    size_t count = 0;
    for (const struct item *i = first; i; i = item_of_place(b->draft, i->next)) {
        const struct item *before = first;
        while (before != i && before->type != i->type)
            before = item_of_place(b->draft, before->next);
        count += i->type != NO_TYPE && before == i;
    }
    return count;
}

// Writes a name and its sets; false: a set is too large.
static bool name_write(struct build *b, struct item *first, struct local_name *name)
{
    size_t count = chain_sets(b, first);
    struct local_set *sets = (void *)((uint8_t *)name + local_sets_at(first->name_len));
    uint8_t *out = (uint8_t *)(sets + count);
    *name = (struct local_name){
        .ttl = TEXT_TTL_MAX, .set_count = (uint16_t)count, .len = first->name_len};
    memcpy(name->bytes, first->bytes, first->name_len);
    for (struct item *i = first; i; i = item_of_place(b->draft, i->next)) {
        if (i->special > name->special)
            name->special = i->special; // a forward zone has the highest number
        if (i->type == NO_TYPE)
            continue;
        uint32_t ttl;
        uint8_t *end = set_write(b, sets, i, out, &ttl);
        if (end - out > SET_LEN_MAX)
            return problem(b, i, "its name has too many records of its type");
        sets->at = (uint32_t)(out - (uint8_t *)name);
        name->ttl = ttl < name->ttl ? ttl : name->ttl;
        out = end;
        sets++;
    }
    b->local->counts.names += count > 0;
    b->names_end = aligned((size_t)(out - (uint8_t *)b->local), 8);
    return true;
}

static bool names_write(struct build *b)
{
    for (size_t i = 0; i <= b->local->table_mask; i++) {
        struct item *first = item_of_place(b->draft, b->table[i]);
        if (!first)
            continue;
        b->table[i] = (uint32_t)(b->names_end / 8);
        if (!name_write(b, first, (void *)((uint8_t *)b->local + b->names_end)))
            return false;
    }
    assert(b->names_end <= b->local->buckets_at);
    return true;
}

// Lets each CNAME know where its target is, if that has records here.
static void targets_find(struct build *b)
{
    struct local *local = b->local;
    for (size_t i = 0; i <= local->table_mask; i++) {
        if (b->table[i] == 0)
            continue;
        struct local_name *name = (void *)((uint8_t *)local + (size_t)b->table[i] * 8);
        struct local_set *set = (void *)((uint8_t *)name + local_sets_at(name->len));
        if (name->set_count == 0 || set->type != TYPE_CNAME)
            continue;
        struct name target;
        target.len = (uint8_t)(set->len - RECORD_HEAD);
        name_lower(target.bytes, (uint8_t *)name + set->at + RECORD_HEAD, target.len);
        const struct local_name *to = local_name_find(local, suffix_hash(local->seed, target.bytes),
                                                      target.bytes, target.len);
        if (to && to->set_count > 0)
            set->target = (uint32_t)((size_t)((const uint8_t *)to - (const uint8_t *)local) / 8);
    }
}

// The CNAME of a name that leads to another one here, or NULL.
static struct local_set *inner_cname(struct local *local, uint32_t eights)
{
    struct local_name *name = (void *)((uint8_t *)local + (size_t)eights * 8);
    struct local_set *set = (void *)((uint8_t *)name + local_sets_at(name->len));
    return name->set_count > 0 && set->type == TYPE_CNAME && set->target ? set : NULL;
}

static struct item *item_of_name(const struct build *b, const struct local_name *name)
{
    for (size_t at = 0; at < b->draft->used;) {
        struct item *item = item_at(b->draft, at);
        at += item_size(item->name_len, item->data_len);
        if (item->name_len == name->len && memcmp(item->bytes, name->bytes, name->len) == 0)
            return item;
    }
    return NULL;
}

// Reports the record of a loop that was given last.
static bool loop_tell(struct build *b, uint32_t eights)
{
    const struct item *last = NULL;
    uint32_t at = eights;
    do {
        const struct item *item = item_of_name(b, local_name_at(b->local, at));
        if (item && (!last || item->tag > last->tag))
            last = item;
        at = inner_cname(b->local, at)->target;
    } while (at != eights);
    assert(last);
    return problem(b, last, "its CNAMEs form a loop");
}

enum walk { WALK_NOT_YET, WALK_UNDER_WAY, WALK_ENDS };

// Do all CNAMEs lead to an end? Each is walked over twice at most.
static bool loops_none(struct build *b)
{
    struct local *local = b->local;
    for (size_t i = 0; i <= local->table_mask; i++) {
        struct local_set *set;
        uint32_t at = b->table[i];
        if (at == 0)
            continue;
        for (; (set = inner_cname(local, at)) && set->walk == WALK_NOT_YET; at = set->target)
            set->walk = WALK_UNDER_WAY;
        if (set && set->walk == WALK_UNDER_WAY)
            return loop_tell(b, at);
        for (at = b->table[i]; (set = inner_cname(local, at)) && set->walk == WALK_UNDER_WAY;
             at = set->target)
            set->walk = WALK_ENDS;
    }
    return true;
}

static void blocks_write(struct build *b)
{
    struct local *local = b->local;
    uint64_t *buckets = (void *)((uint8_t *)local + local->buckets_at);
    for (size_t i = 0; i < b->making->entry_count; i++) {
        uint64_t entry = b->making->entries[i];
        local->counts.blocked += block_add(buckets, local->bucket_count, entry);
        filter_set(local, entry);
    }
}

const struct local *local_build(struct local_making *making, void *memory)
{
    struct local *local = memory;
    assert((uintptr_t)memory % 64 == 0);
    local->seed = making->draft->seed;
    local->counts.octets = layout(making, local);
    local->filter_shift = 64 - (uint32_t)__builtin_ctzll(filter_bits(making));
    local->table_mask = (uint32_t)table_places(making) - 1;
    local->block_answer = making->block_answer;
    uint64_t print = making->draft->fingerprint + making->block_answer;
    local->fingerprint = (uint32_t)(print ^ print >> 32);
    struct build b = {
        .making = making,
        .draft = making->draft,
        .local = local,
        .table = (void *)((uint8_t *)memory + local->table_at),
        .names_end = local->table_at + aligned(4 * table_places(making), 64),
    };
    for (size_t at = 0; at < b.draft->used;) {
        struct item *item = item_at(b.draft, at);
        at += item_size(item->name_len, item->data_len);
        if (!item_insert(&b, item))
            return NULL;
    }
    if (!names_write(&b))
        return NULL;
    targets_find(&b);
    if (!loops_none(&b))
        return NULL;
    blocks_write(&b);
    return local;
}

uint32_t local_fingerprint(const struct local *local)
{
    return local ? local->fingerprint : 0;
}

struct local_counts local_counts(const struct local *local)
{
    return local->counts;
}
