// SPDX-License-Identifier: MIT
#include "core/policy/local.h"

#include "core/policy/local_block.h"

// Looking up a name and writing its answer. One pass over the name, from the root to the leaf,
// finds all that it may lie in: most names have no bit of the filter and touch nothing else.

enum {
    POINTER = 0xc000,
    CHAIN_LEN_MAX = 8,      // CNAMEs of an answer
    SPECIAL_TTL_S = 10800,  // RFC 6303 3
    LOOPBACK_TTL_S = 86400, // never changes
    SOA_SERIAL = 1,
    SOA_REFRESH = 3600,
    SOA_RETRY = 1200,
    SOA_EXPIRE = 604800,
    NAME_AT = MESSAGE_HEADER_LEN,
};

struct found {
    const struct local_name *name; // the name itself has records
    uint8_t special;               // as in local_name
    uint8_t special_at;            // where the zone begins in the name
    uint8_t blocked_at;
    bool blocked;
    bool excepted; // the longest entry that it lies in is an exception
};

// What the name that ends so, `at` octets from its front, says of the whole name.
static void suffix_look(const struct local *local, uint64_t hash, const uint8_t *name, size_t len,
                        size_t at, struct found *found)
{
    const struct local_name *here = local_name_find(local, hash, name + at, len - at);
    if (here && here->special) {
        found->special = here->special;
        found->special_at = (uint8_t)at;
    }
    if (here && at == 0 && here->set_count > 0)
        found->name = here;
    if (local->bucket_count == 0)
        return;
    const uint64_t *buckets = (const void *)((const uint8_t *)local + local->buckets_at);
    enum block_verdict verdict = block_find(buckets, local->bucket_count, hash);
    if (verdict == BLOCK_ABSENT)
        return;
    found->blocked = verdict == BLOCK_LISTED;
    found->excepted = verdict == BLOCK_EXCEPTED;
    found->blocked_at = (uint8_t)at;
}

static inline bool filter_holds(const uint64_t *filter, uint64_t bit)
{
    return filter[bit / 64] >> bit % 64 & 1;
}

// `name` is in lower case, of `len` octets; seven behind it may be read where `whole` says so.
static struct found name_look(const struct local *local, const uint8_t *name, size_t len,
                              bool whole)
{
    const uint64_t *filter = (const void *)((const uint8_t *)local + local->filter_at);
    struct suffix_seed seed = local->seed;
    uint64_t hash = seed.start;
    struct found found = {0};
    uint8_t places[SUFFIX_LABELS_MAX];
    size_t count = 0;
    for (size_t at = 0; name[at] != 0; at += 1u + name[at])
        places[count++] = (uint8_t)at;
    if (count == 0 && filter_holds(filter, hash >> local->filter_shift)) // the root
        suffix_look(local, hash, name, len, 0, &found);
    while (count > 0) {
        size_t at = places[--count];
        hash = suffix_step(seed, hash, name + at, whole);
        if (__builtin_expect(filter_holds(filter, hash >> local->filter_shift), 0))
            suffix_look(local, hash, name, len, at, &found);
    }
    return found;
}

static struct found key_look(const struct local *local, const struct key *key)
{
    // Eight octets from any octet of the name are still in the key, unless it is this long.
    size_t len = key_name_len(key);
    return name_look(local, key_name(key), len, len + 8 <= NAME_MAX_LEN);
}

bool local_blocks_chain(const struct local *local, const struct key *key, const uint8_t *value,
                        size_t value_len)
{
    struct answer_chain chain = answer_chain_of(value, value_len);
    struct name target;
    bool looked = false;
    while (answer_chain_next(&chain, &target)) {
        uint8_t lower[NAME_MAX_LEN];
        if (!looked && key_look(local, key).excepted)
            return false;
        looked = true;
        name_lower(lower, target.bytes, target.len);
        struct found found = name_look(local, lower, target.len, false);
        if (found.blocked && !found.name && !found.special)
            return true;
    }
    return false;
}

// --- writing -----------------------------------------------------------------------------------

struct reply {
    struct writer out; // leaves room for the OPT record
    const struct query *query;
    uint16_t rcode;
    uint16_t answers;
    uint16_t authorities;
    uint16_t owner; // a pointer to the name that the next record is of
    bool aa;
    int ede;
};

static struct reply reply_begin(uint8_t *out, const struct query *query,
                                const struct answer_limits *limits, int ede)
{
    size_t opt_len = query_opt_len(query) + (query->edns && ede != EDE_NONE ? EDE_LEN : 0);
    size_t max = query_reply_max(query, limits->udp_payload_max);
    struct reply reply = {
        .out = writer_over(out, max - opt_len),
        .query = query,
        .owner = POINTER | NAME_AT,
        .aa = ede == EDE_NONE,
        .ede = ede,
    };
    write_room(&reply.out, MESSAGE_HEADER_LEN);
    write_bytes(&reply.out, query_name(query), query->name_len + 4u);
    return reply;
}

static size_t reply_end(struct reply *reply, const struct answer_limits *limits)
{
    const struct query *query = reply->query;
    uint8_t *out = reply->out.bytes;
    if (reply->out.failed)
        return reply_empty(out, query, reply->rcode, HEADER_TC, true, limits->udp_payload_max,
                           EDE_NONE);
    store_be16(out, query->id);
    out[2] = (uint8_t)(HEADER_QR | (reply->aa ? HEADER_AA : 0) | (query->flags & HEADER_RD));
    out[3] = (uint8_t)(HEADER_RA | (query->checking_disabled ? HEADER_CD : 0) | reply->rcode);
    store_be16(out + 4, 1);
    store_be16(out + 6, reply->answers);
    store_be16(out + 8, reply->authorities);
    store_be16(out + 10, query->edns);
    size_t len = reply->out.at;
    return len +
           reply_opt_write(out + len, query, RCODE_NOERROR, limits->udp_payload_max, reply->ede);
}

// A record's front; its data, of that length, is to follow.
static void record_begin(struct reply *reply, uint16_t owner, uint16_t type, uint32_t ttl,
                         size_t data_len)
{
    write_u16(&reply->out, owner);
    write_u16(&reply->out, type);
    write_u16(&reply->out, CLASS_IN);
    write_u32(&reply->out, ttl);
    write_u16(&reply->out, (uint16_t)data_len);
}

static void record_write(struct reply *reply, uint16_t type, uint32_t ttl, const void *data,
                         size_t data_len)
{
    record_begin(reply, reply->owner, type, ttl, data_len);
    write_bytes(&reply->out, data, data_len);
    reply->answers++;
}

// An SOA like that of RFC 6303 3, with the zone itself as the primary server. A zone at 0 is the
// root: there is nothing to point to.
static void soa_write(struct reply *reply, uint16_t zone, uint32_t ttl)
{
    static const uint8_t mailbox[] = "\6nobody\7invalid";
    const uint32_t numbers[] = {SOA_SERIAL, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE, ttl};
    size_t zone_len = zone ? 2 : 1;
    if (zone) {
        record_begin(reply, zone, TYPE_SOA, ttl, zone_len + sizeof mailbox + sizeof numbers);
        write_u16(&reply->out, zone);
    } else {
        write_u8(&reply->out, 0);
        write_u16(&reply->out, TYPE_SOA);
        write_u16(&reply->out, CLASS_IN);
        write_u32(&reply->out, ttl);
        write_u16(&reply->out, (uint16_t)(zone_len + sizeof mailbox + sizeof numbers));
        write_u8(&reply->out, 0);
    }
    write_bytes(&reply->out, mailbox, sizeof mailbox);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        write_u32(&reply->out, numbers[i]);
}

static void denial_write(struct reply *reply, uint16_t zone, uint32_t ttl)
{
    soa_write(reply, zone, ttl);
    reply->authorities++;
}

// --- local records -----------------------------------------------------------------------------

// The set of this type; ANY gets the first.
static const struct local_set *set_find(const struct local_name *name, uint16_t type)
{
    const struct local_set *sets = local_sets(name);
    for (size_t i = 0; i < name->set_count; i++) {
        if (sets[i].type == type || type == TYPE_ANY)
            return &sets[i];
    }
    return NULL;
}

// Addresses begin with another one from answer to answer.
static void set_copy(struct reply *reply, const struct local_name *name,
                     const struct local_set *set, uint32_t turn)
{
    const uint8_t *bytes = (const uint8_t *)name + set->at;
    size_t from = set->stride ? (turn % set->count) * set->stride : 0;
    size_t at = reply->out.at;
    write_bytes(&reply->out, bytes + from, set->len - from);
    write_bytes(&reply->out, bytes, from);
    reply->answers = (uint16_t)(reply->answers + set->count);
    // Behind a CNAME the owner is not the question.
    while (!reply->out.failed && at < reply->out.at) {
        uint8_t *record = reply->out.bytes + at;
        store_be16(record, reply->owner);
        at += 12u + load_be16(record + 10);
    }
}

// True: the last one is a CNAME that leads outside.
static bool records_write(struct reply *reply, const struct local *local,
                          const struct local_name *name, uint32_t turn)
{
    for (unsigned i = 0; i < CHAIN_LEN_MAX; i++) {
        const struct local_set *set = set_find(name, reply->query->type);
        if (set) {
            set_copy(reply, name, set, turn);
            return false;
        }
        set = set_find(name, TYPE_CNAME);
        if (!set) {
            denial_write(reply, reply->owner, name->ttl);
            return false;
        }
        size_t target_at = reply->out.at + 12;
        set_copy(reply, name, set, 0);
        if (set->target == 0)
            return true;
        reply->owner = (uint16_t)(POINTER | target_at);
        name = local_name_at(local, set->target);
    }
    return false;
}

bool local_alias(const struct local *local, const struct key *key, struct name *target)
{
    const struct local_name *name = key_look(local, key).name;
    for (unsigned i = 0; name && i < CHAIN_LEN_MAX; i++) {
        const struct local_set *set = set_find(name, TYPE_CNAME);
        if (!set || set_find(name, key_type(key)))
            return false;
        if (set->target == 0) {
            const uint8_t *data = (const uint8_t *)name + set->at + ANSWER_ADDRESS_HEAD;
            target->len = (uint8_t)(set->len - ANSWER_ADDRESS_HEAD);
            name_lower(target->bytes, data, target->len);
            return true;
        }
        name = local_name_at(local, set->target);
    }
    return false;
}

bool local_owns(const struct local *local, const struct name *name)
{
    struct found found = name_look(local, name->bytes, name->len, false);
    return found.name || (found.special && found.special != LOCAL_SPECIAL_PASS);
}

bool local_decides(const struct local *local, const struct key *key)
{
    struct found found = key_look(local, key);
    return found.name || (found.special && found.special != LOCAL_SPECIAL_PASS) || found.blocked;
}

// --- special and blocked names -----------------------------------------------------------------

static void loopback_write(struct reply *reply, uint16_t zone)
{
    static const uint8_t ipv4[4] = {127, 0, 0, 1};
    static const uint8_t ipv6[16] = {[15] = 1};
    uint16_t type = reply->query->type;
    if (type == TYPE_A || type == TYPE_ANY)
        record_write(reply, TYPE_A, LOOPBACK_TTL_S, ipv4, sizeof ipv4);
    else if (type == TYPE_AAAA)
        record_write(reply, TYPE_AAAA, LOOPBACK_TTL_S, ipv6, sizeof ipv6);
    else
        denial_write(reply, zone, SPECIAL_TTL_S);
}

// The zone's own name: it has an SOA and an NS.
static void apex_write(struct reply *reply, enum special_kind kind, uint16_t zone)
{
    static const uint8_t localhost[] = "\11localhost";
    uint16_t type = reply->query->type;
    bool any = type == TYPE_ANY;
    uint8_t server[2];
    store_be16(server, zone);
    if (kind == SPECIAL_LOCALHOST && (type == TYPE_PTR || any)) {
        record_write(reply, TYPE_PTR, SPECIAL_TTL_S, localhost, sizeof localhost);
    } else if (type == TYPE_SOA || any) {
        soa_write(reply, zone, SPECIAL_TTL_S);
        reply->answers++;
    } else if (type == TYPE_NS) {
        record_write(reply, TYPE_NS, SPECIAL_TTL_S, server, sizeof server);
    } else {
        denial_write(reply, zone, SPECIAL_TTL_S);
    }
}

static void special_write(struct reply *reply, enum special_kind kind, uint8_t at)
{
    uint16_t zone = (uint16_t)(POINTER | (NAME_AT + at));
    if (kind == SPECIAL_LOOPBACK) {
        loopback_write(reply, zone);
    } else if (kind == SPECIAL_NOTHING) {
        reply->rcode = RCODE_NXDOMAIN;
        denial_write(reply, 0, SPECIAL_TTL_S); // the root's: the zone itself does not exist
    } else if (at == 0) {
        apex_write(reply, kind, zone);
    } else {
        reply->rcode = kind == SPECIAL_DESIGNATED ? RCODE_NOERROR : RCODE_NXDOMAIN;
        denial_write(reply, zone, SPECIAL_TTL_S);
    }
}

// A validator has to see that the parent leaves this zone unsigned (RFC 8375 4).
static bool is_asked_of_parent(const struct query *query, const struct found *found)
{
    return query->type == TYPE_DS && query->dnssec_ok && found->special_at == 0 &&
           specials[found->special - 1].kind == SPECIAL_INSECURE;
}

static void blocked_write(struct reply *reply, const struct local *local, uint8_t at)
{
    static const uint8_t zero[16];
    uint16_t type = reply->query->type;
    uint16_t zone = (uint16_t)(POINTER | (NAME_AT + at));
    if (local->block_answer == LOCAL_BLOCK_REFUSED) {
        reply->rcode = RCODE_REFUSED;
        return;
    }
    if (local->block_answer == LOCAL_BLOCK_NULL && (type == TYPE_A || type == TYPE_ANY)) {
        record_write(reply, TYPE_A, LOCAL_BLOCKED_TTL_S, zero, 4);
    } else if (local->block_answer == LOCAL_BLOCK_NULL && type == TYPE_AAAA) {
        record_write(reply, TYPE_AAAA, LOCAL_BLOCKED_TTL_S, zero, 16);
    } else {
        reply->rcode = local->block_answer == LOCAL_BLOCK_NULL ? RCODE_NOERROR : RCODE_NXDOMAIN;
        denial_write(reply, zone, LOCAL_BLOCKED_TTL_S);
    }
}

size_t local_answer(const struct local *local, const struct query *query, const struct key *key,
                    uint32_t turn, const struct answer_limits *limits, uint8_t *out,
                    enum local_source *source)
{
    struct found found = key_look(local, key);
    bool special =
        found.special && found.special != LOCAL_SPECIAL_PASS && !is_asked_of_parent(query, &found);
    *source = LOCAL_NOWHERE;
    if (found.name || special)
        *source = LOCAL_OWN;
    else if (found.blocked)
        *source = LOCAL_BLOCKED;
    else
        return 0;
    struct reply reply =
        reply_begin(out, query, limits, *source == LOCAL_BLOCKED ? EDE_BLOCKED : EDE_NONE);
    bool outside = false;
    if (found.name)
        outside = records_write(&reply, local, found.name, limits->rotate ? turn : 0);
    else if (special)
        special_write(&reply, (enum special_kind)specials[found.special - 1].kind,
                      found.special_at);
    else
        blocked_write(&reply, local, found.blocked_at);
    if (outside)
        *source = LOCAL_ALIAS;
    return reply_end(&reply, limits);
}

size_t local_block_answer(const struct local *local, const struct query *query,
                          const struct answer_limits *limits, uint8_t *out)
{
    struct reply reply = reply_begin(out, query, limits, EDE_BLOCKED);
    blocked_write(&reply, local, 0);
    return reply_end(&reply, limits);
}
