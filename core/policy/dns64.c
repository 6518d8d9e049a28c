// SPDX-License-Identifier: MIT
#include "core/policy/dns64.h"

#include "core/policy/nat64.h"
#include "core/policy/rebind.h"
#include "core/wire/rebuild.h"

static bool is_excluded(const struct settings *settings, const uint8_t *ip)
{
    for (size_t i = 0; i < settings->dns64_exclude.count; i++) {
        if (nat64_lies_in(&settings->dns64_exclude.items[i], ip))
            return true;
    }
    return false;
}

bool dns64_is_wanted(const struct settings *settings, const struct answer *answer)
{
    struct reader r = answer_reader(answer);
    unsigned count = load_be16(answer->value + 6);
    struct record record;
    if (answer->rcode != RCODE_NOERROR || answer->truncated)
        return false;
    for (unsigned i = 0; i < count && record_read(&r, &record); i++) {
        if (record.type == TYPE_AAAA && record.data_len == 16 &&
            !is_excluded(settings, answer->value + record.data_at))
            return false;
    }
    return true;
}

static bool is_well_known(const struct prefix *prefix)
{
    static const uint8_t well_known[16] = {0, 0x64, 0xff, 0x9b};
    return prefix->length == 96 && memcmp(prefix->ip, well_known, 16) == 0;
}

static void address_write(struct rebuild *b, const struct record *record,
                          const struct prefix *prefix, const uint8_t *ipv4)
{
    uint8_t ipv6[16];
    nat64_embed(prefix, ipv4, ipv6);
    rebuild_name(b, &record->owner, true);
    write_u16(&b->out, TYPE_AAAA);
    write_u16(&b->out, CLASS_IN);
    write_u32(&b->out, record->ttl < DNS64_TTL_MAX_S ? record->ttl : DNS64_TTL_MAX_S);
    write_u16(&b->out, sizeof ipv6);
    write_bytes(&b->out, ipv6, sizeof ipv6);
}

// Writes one record of the A answer as it stands in the AAAA answer; false: it does not.
static bool record_make(const struct settings *settings, struct rebuild *b, struct record *record,
                        struct reader *from, unsigned section)
{
    const struct prefix *prefix = &settings->dns64_prefix;
    const uint8_t *data = from->bytes + record->data_at;
    if (record->type == TYPE_RRSIG && section == 0 && record->data_len > 2 &&
        load_be16(data) == TYPE_A)
        return false; // speaks of what is no longer there
    if (record->type != TYPE_A || section != 0)
        return rebuild_record(b, record, from) != 0;
    if (record->data_len != 4 || (is_well_known(prefix) && rebind_is_inside(prefix, data, 4)))
        return false;
    address_write(b, record, prefix, data);
    return true;
}

enum dns64_verdict dns64_make(const struct settings *settings, struct answer *answer,
                              const struct key *key, uint32_t age_s,
                              const struct answer_limits *limits)
{
    uint8_t scratch[MESSAGE_LEN_MAX];
    struct reader r = answer_reader(answer);
    struct rebuild b;
    struct record record;
    unsigned addresses = 0;
    answer_begin(&b, scratch, key, limits->seed);
    memcpy(scratch, answer->value, MESSAGE_HEADER_LEN);
    for (unsigned section = 0; section < 3; section++) {
        unsigned count = load_be16(answer->value + 6 + 2 * section), made = 0;
        for (unsigned i = 0; i < count && record_read(&r, &record); i++) {
            record.ttl = record.ttl > age_s ? record.ttl - age_s : 0;
            bool there = record_make(settings, &b, &record, &r, section);
            made += there;
            addresses += there && section == 0 && record.type == TYPE_A;
        }
        store_be16(scratch + 6 + 2 * section, (uint16_t)made);
    }
    if (b.out.failed || r.failed ||
        answer_parse(answer, scratch, b.out.at, key, limits) != REPLY_GOOD || answer->too_long)
        return DNS64_SPOILT;
    return addresses > 0 ? DNS64_MADE : DNS64_NOTHING;
}
