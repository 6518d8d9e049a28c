// SPDX-License-Identifier: MIT
#include "core/reply_records.h"

// Names are compared by their hashes: 64 bits with a secret, so attackers cannot make two of them
// meet. The names of the chain are the only ones that are kept whole.

enum {
    DNAMES_MAX = REPLY_CHAIN_MAX, // that are looked at
    NAMED_PLACES = 512,           // a power of two
    NAMED_MAX = NAMED_PLACES / 4 * 3,
};

// --- reading -------------------------------------------------------------------------------------

static uint64_t hash_of(const struct reply_records *r, const struct name *name)
{
    uint8_t lower[NAME_MAX_LEN];
    name_lower(lower, name->bytes, name->len);
    return suffix_hash(r->seed, lower);
}

static bool opt_parse(struct reply_records *r, const struct record *record, unsigned section)
{
    bool first = r->opt.owner.len == 0;
    r->opt = *record;
    return first && section == SECTION_ADDITIONAL && record->owner.len == 1;
}

// Does it speak of the transaction alone?
static bool is_of_transaction(const struct record *record)
{
    return record->type == TYPE_TSIG || (record->type == TYPE_SIG && record->class == CLASS_ANY);
}

static bool record_parse(struct reply_records *r, unsigned section, const struct key *key,
                         unsigned *count)
{
    struct record record;
    struct seen_name owner;
    size_t at = r->reader.at;
    if (!seen_read(&r->seen, &r->reader, &owner) || !record_read_rest(&r->reader, &record))
        return false;
    record.owner.len = owner.len;
    if (record.type == TYPE_OPT)
        return opt_parse(r, &record, section);
    if (is_of_transaction(&record))
        return section == SECTION_ADDITIONAL;
    if (record.class != key_class(key))
        return true;
    if (!record_fits(&record, &r->reader))
        return false;
    struct reply_record *entry = &r->all[(*count)++];
    *entry = (struct reply_record){
        .owner = owner.hash,
        .ttl = record.ttl,
        .at = (uint16_t)at,
        .data_at = (uint16_t)record.data_at,
        .data_len = record.data_len,
        .type = record.type,
    };
    if (record.type == TYPE_RRSIG && record.data_len >= 2)
        entry->covered = load_be16(r->reader.bytes + record.data_at);
    return true;
}

bool reply_records_read(struct reply_records *r, const uint8_t *reply, size_t len,
                        const struct key *key, uint64_t seed)
{
    unsigned count = 0;
    r->reader = reader_over(reply, len);
    r->seed = suffix_seed_of(seed);
    seen_begin(&r->seen, r->seed, len);
    r->opt.owner.len = 0;
    r->ranks = 0;
    r->answered = false;
    r->reader.at = MESSAGE_HEADER_LEN + key_name_len(key) + 4u;
    for (unsigned section = 0; section < SECTIONS; section++) {
        for (unsigned left = load_be16(reply + 6 + 2 * section); left > 0; left--) {
            if (!record_parse(r, section, key, &count))
                return false;
        }
        r->ends[section] = count;
    }
    return true;
}

// --- the answer section --------------------------------------------------------------------------

// The names from the question's to the one that the last CNAME leads to.
struct chain {
    unsigned count;
    struct name last;
    uint64_t hashes[REPLY_CHAIN_MAX + 1];
};

static struct reply_record *answer_find(struct reply_records *r, uint64_t owner, uint16_t type)
{
    for (unsigned i = 0; i < r->ends[SECTION_ANSWER]; i++) {
        if (r->all[i].owner == owner && r->all[i].type == type)
            return &r->all[i];
    }
    return NULL;
}

// Of a record's data, so many octets behind their beginning.
static struct reader data_reader(const struct reply_records *r, const struct reply_record *record,
                                 size_t skip)
{
    struct reader data = r->reader;
    data.at = record->data_at + skip;
    data.len = (size_t)record->data_at + record->data_len;
    data.failed = data.at > data.len;
    return data;
}

// Ranks the signatures of what stands under this name and has this type.
static void signatures_rank(struct reply_records *r, uint64_t owner, uint16_t type, uint8_t rank)
{
    for (unsigned i = 0; i < r->ends[SECTION_ANSWER]; i++) {
        struct reply_record *record = &r->all[i];
        if (record->type == TYPE_RRSIG && record->owner == owner && record->covered == type)
            record->rank = rank;
    }
}

// Ranks the DNAMEs of all that a name lies in.
static void dnames_rank(struct reply_records *r, const struct name *name, uint8_t rank)
{
    uint8_t lower[NAME_MAX_LEN];
    struct suffixes parts;
    unsigned seen = 0;
    name_lower(lower, name->bytes, name->len);
    suffixes_find(&parts, r->seed, lower);
    for (unsigned i = 0; i < r->ends[SECTION_ANSWER] && seen < DNAMES_MAX; i++) {
        struct reply_record *record = &r->all[i];
        if (record->type != TYPE_DNAME)
            continue;
        seen++;
        for (unsigned k = 1; k <= parts.count && record->rank == 0; k++) {
            if (record->owner != parts.hashes[k])
                continue;
            record->rank = rank;
            signatures_rank(r, record->owner, TYPE_DNAME, rank);
        }
    }
}

static bool chain_holds(const struct chain *chain, uint64_t hash)
{
    for (unsigned i = 0; i < chain->count; i++) {
        if (chain->hashes[i] == hash)
            return true;
    }
    return false;
}

// Goes on to where the CNAME of the last name leads. False: it has none, there are too many, or
// they go round in a circle.
static bool chain_step(struct reply_records *r, struct chain *chain)
{
    uint64_t owner = chain->hashes[chain->count - 1];
    struct reply_record *cname = answer_find(r, owner, TYPE_CNAME);
    if (!cname || chain->count > REPLY_CHAIN_MAX)
        return false;
    dnames_rank(r, &chain->last, (uint8_t)chain->count);
    cname->rank = (uint8_t)chain->count;
    signatures_rank(r, owner, TYPE_CNAME, cname->rank);
    struct name target;
    struct reader data = data_reader(r, cname, 0);
    bool good = name_read(&data, &target);
    r->reader.hops_left = data.hops_left;
    if (!good)
        return false;
    uint64_t hash = hash_of(r, &target);
    if (chain_holds(chain, hash))
        return false;
    chain->last = target;
    chain->hashes[chain->count++] = hash;
    return true;
}

static void answers_pick(struct reply_records *r, struct chain *chain, uint16_t asked)
{
    while (asked != TYPE_ANY && !answer_find(r, chain->hashes[chain->count - 1], asked) &&
           chain_step(r, chain))
        continue;
    uint64_t last = chain->hashes[chain->count - 1];
    r->ranks = (uint8_t)(chain->count + 1);
    for (unsigned i = 0; i < r->ends[SECTION_ANSWER]; i++) {
        struct reply_record *record = &r->all[i];
        bool wanted = asked == TYPE_ANY || record->type == asked;
        if (record->owner != last || record->rank != 0 || !(wanted || record->covered == asked))
            continue;
        record->rank = r->ranks;
        r->answered |= wanted;
    }
    if (!r->answered)
        dnames_rank(r, &chain->last, r->ranks);
}

// --- the other sections --------------------------------------------------------------------------

static bool is_of_zone(uint16_t type)
{
    return type == TYPE_NS || type == TYPE_DS;
}

static bool is_in_authority(uint16_t type)
{
    return type == TYPE_SOA || type == TYPE_NSEC || type == TYPE_NSEC3 || is_of_zone(type);
}

static bool suffixes_hold(const struct suffixes *parts, uint64_t hash)
{
    for (unsigned i = 0; i <= parts->count; i++) {
        if (parts->hashes[i] == hash)
            return true;
    }
    return false;
}

// A server's SOA is taken as it is, as some that make one put another name in front; what it does
// is to tell how long there is nothing.
static void authority_pick(struct reply_records *r, const struct key *key,
                           const struct chain *chain)
{
    unsigned begin = reply_section_begin(r, SECTION_AUTHORITY);
    struct suffixes asked, last;
    uint8_t lower[NAME_MAX_LEN];
    if (begin == r->ends[SECTION_AUTHORITY])
        return;
    suffixes_find(&asked, r->seed, key_name(key));
    name_lower(lower, chain->last.bytes, chain->last.len);
    suffixes_find(&last, r->seed, lower);
    for (unsigned i = begin; i < r->ends[SECTION_AUTHORITY]; i++) {
        struct reply_record *record = &r->all[i];
        uint16_t type = record->type == TYPE_RRSIG ? record->covered : record->type;
        record->rank =
            is_in_authority(type) && (!is_of_zone(type) || suffixes_hold(&asked, record->owner) ||
                                      suffixes_hold(&last, record->owner));
    }
}

// A set of the names that stand in the data of what is passed on. When it is full, no more come in:
// what is additional may be missing.
struct named {
    unsigned count;
    uint64_t places[NAMED_PLACES]; // 0: free
};

static uint64_t *named_seek(struct named *named, uint64_t hash)
{
    uint64_t at = hash;
    while (named->places[at % NAMED_PLACES] != 0 && named->places[at % NAMED_PLACES] != hash)
        at++;
    return &named->places[at % NAMED_PLACES];
}

static void named_add(struct named *named, uint64_t hash)
{
    uint64_t *place = named_seek(named, hash);
    if (*place != 0 || named->count == NAMED_MAX)
        return;
    *place = hash;
    named->count++;
}

// Where the name begins that a record's data leads to; SIZE_MAX: it leads nowhere.
static size_t lead_at(uint16_t type)
{
    switch (type) {
    case TYPE_NS:
    case TYPE_PTR:
        return 0;
    case TYPE_MX:
    case TYPE_AFSDB:
    case TYPE_RT:
    case TYPE_KX:
    case TYPE_SVCB:
    case TYPE_HTTPS:
        return 2;
    case TYPE_SRV:
        return 6;
    default:
        return SIZE_MAX;
    }
}

// NAPTR has three strings in front of the name (RFC 3403 4.1).
static size_t naptr_lead(const struct reply_records *r, const struct reply_record *record)
{
    const uint8_t *data = r->reader.bytes + record->data_at;
    size_t at = 4;
    for (unsigned i = 0; i < 3; i++)
        at += 1u + data[at];
    return at;
}

static void target_add(struct reply_records *r, struct named *named,
                       const struct reply_record *record)
{
    struct seen_name name;
    size_t at = record->type == TYPE_NAPTR ? naptr_lead(r, record) : lead_at(record->type);
    if (at == SIZE_MAX)
        return;
    struct reader data = data_reader(r, record, at);
    bool good = !data.failed && seen_read(&r->seen, &data, &name);
    r->reader.hops_left = data.hops_left;
    if (!good)
        return;
    // The root as a target stands for the owner itself (RFC 9460 2.5).
    bool itself = name.len == 1 && (record->type == TYPE_SVCB || record->type == TYPE_HTTPS);
    named_add(named, itself ? record->owner : name.hash);
}

static bool is_additional(uint16_t type)
{
    return type == TYPE_A || type == TYPE_AAAA || type == TYPE_SRV || type == TYPE_TXT ||
           type == TYPE_SVCB || type == TYPE_HTTPS;
}

static void additional_pick(struct reply_records *r)
{
    unsigned begin = reply_section_begin(r, SECTION_ADDITIONAL);
    struct named named;
    if (begin == r->ends[SECTION_ADDITIONAL])
        return;
    memset(&named, 0, sizeof named);
    for (unsigned i = 0; i < begin; i++) {
        if (r->all[i].rank != 0)
            target_add(r, &named, &r->all[i]);
    }
    for (unsigned i = begin; i < r->ends[SECTION_ADDITIONAL]; i++) {
        struct reply_record *record = &r->all[i];
        uint16_t type = record->type == TYPE_RRSIG ? record->covered : record->type;
        record->rank = is_additional(type) && *named_seek(&named, record->owner) == record->owner;
        if (record->rank != 0)
            target_add(r, &named, record);
    }
}

void reply_records_pick(struct reply_records *r, const struct key *key)
{
    struct chain chain = {.count = 1, .last = {.len = key_name_len(key)}};
    memcpy(chain.last.bytes, key_name(key), chain.last.len);
    chain.hashes[0] = suffix_hash(r->seed, key_name(key));
    answers_pick(r, &chain, key_type(key));
    authority_pick(r, key, &chain);
    additional_pick(r);
}
