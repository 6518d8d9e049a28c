// SPDX-License-Identifier: MIT
#include "core/policy/alias.h"

#include "core/reply_records.h"
#include "core/wire/rebuild.h"

bool alias_leaves(const struct zone_table *zone_table, const struct local *local,
                  const struct zone *zone, const uint8_t *value, size_t value_len,
                  struct name *target)
{
    if (zone_table->zone_count == 1 && !local)
        return false;
    struct answer_chain chain = answer_chain_of(value, value_len);
    struct name next;
    while (answer_chain_next(&chain, &next)) {
        target->len = next.len;
        name_lower(target->bytes, next.bytes, next.len);
        if (local && local_owns(local, target))
            return true;
        const struct zone *there = zone_table_find(zone_table, target->bytes, target->len);
        // One of a zone table that has been replaced is the same zone.
        if (!there || !name_equal(&there->settings->zone, &zone->settings->zone))
            return there != NULL;
    }
    return false;
}

// How many CNAMEs lead to this name, or if it is NULL, how many there are; 0: none leads there.
static unsigned chain_length(const struct answer *answer, const struct name *target)
{
    struct answer_chain chain = answer_chain_of(answer->value, answer->len);
    struct name next;
    unsigned length = 0;
    while (answer_chain_next(&chain, &next)) {
        length++;
        if (target && name_equal(&next, target))
            return length;
    }
    return target ? 0 : length;
}

// Writes a section of one part, up to the first record of `until`, and returns how many records
// that are.
static unsigned section_write(struct rebuild *b, struct reader *from, unsigned count,
                              uint32_t age_s, const struct name *until)
{
    struct record record;
    unsigned written = 0;
    for (unsigned i = 0; i < count && record_read(from, &record); i++) {
        if (until && name_equal(&record.owner, until))
            break;
        record.ttl = record.ttl > age_s ? record.ttl - age_s : 0;
        written += rebuild_record(b, &record, from) != 0;
    }
    return written;
}

// The message that both parts make, its header first.
static void message_write(struct rebuild *b, uint8_t *out, const struct alias_parts *parts,
                          const struct key *key, uint64_t seed)
{
    const uint8_t *end = parts->end->value;
    struct reader chain = answer_reader(parts->chain), rest = answer_reader(parts->end);
    answer_begin(b, out, key, seed);
    memcpy(out, end, MESSAGE_HEADER_LEN);
    unsigned made = section_write(b, &chain, load_be16(parts->chain->value + 6), parts->chain_age_s,
                                  parts->target);
    for (unsigned section = 0; section < SECTIONS; section++) {
        made += section_write(b, &rest, load_be16(end + 6 + 2 * section), parts->end_age_s, NULL);
        store_be16(out + 6 + 2 * section, (uint16_t)made);
        made = 0;
    }
}

bool alias_join(const struct alias_parts *parts, const struct key *key,
                const struct answer_limits *limits)
{
    uint8_t scratch[MESSAGE_LEN_MAX];
    struct rebuild b;
    struct answer *answer = parts->chain;
    unsigned length = chain_length(answer, parts->target);
    if (length == 0 || length + chain_length(parts->end, NULL) > REPLY_CHAIN_MAX)
        return false;
    message_write(&b, scratch, parts, key, limits->seed);
    return !b.out.failed && answer_parse(answer, scratch, b.out.at, key, limits) == REPLY_GOOD &&
           !answer->too_long;
}
