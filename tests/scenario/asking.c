// SPDX-License-Identifier: MIT
#include "tests/scenario/asking.h"

#include <ctype.h>
#include <stdlib.h>

enum { OPTION_COOKIE = 10, OPT_DO = 0x8000 };

void option_write(struct writer *out, uint16_t code, const uint8_t *bytes, size_t len)
{
    write_u16(out, code);
    write_u16(out, (uint16_t)len);
    write_bytes(out, bytes, len);
}

// --- from words --------------------------------------------------------------------------------

static void cookie_parse(const struct script *script, struct phrase *phrase, struct asking *asking,
                         bool without)
{
    asking->cookie = without ? COOKIE_ABSENT : COOKIE_ANY;
    if (without)
        return;
    asking->cookie_len =
        script_octets(script, phrase, asking->cookie_server, sizeof asking->cookie_server);
    if (asking->cookie_len > 0)
        asking->cookie = COOKIE_SERVER;
}

static void option_parse(const struct script *script, struct phrase *phrase, struct asking *asking)
{
    uint8_t bytes[256];
    uint64_t code = script_number(script, phrase_need(script, phrase, "the option's code"));
    size_t len = script_octets(script, phrase, bytes, sizeof bytes);
    struct writer out = {
        .bytes = asking->options, .size = sizeof asking->options, .at = asking->options_len};
    option_write(&out, (uint16_t)code, bytes, len);
    asking->options_len = out.at;
    asking->edns = true;
}

static void case_parse(const struct script *script, struct phrase *phrase, struct asking *asking)
{
    if (phrase_take(phrase, "lower"))
        asking->name_case = CASE_LOWER;
    else if (phrase_take(phrase, "mixed"))
        asking->name_case = CASE_MIXED;
    else
        script_fail(script, "which case? lower or mixed");
}

// Takes what stands behind "with" or "without"; false: the word is not known here.
static bool quality_parse(const struct script *script, struct phrase *phrase, struct asking *asking,
                          bool without)
{
    if (phrase_take(phrase, "do")) {
        asking->dnssec_ok = !without;
        asking->edns = true;
    } else if (phrase_take(phrase, "cd")) {
        asking->checking_disabled = !without;
    } else if (phrase_take(phrase, "rd")) {
        asking->recursion = !without;
    } else if (phrase_take(phrase, "edns")) {
        asking->edns = !without;
        const char *next = phrase_peek(phrase);
        if (!without && next && isdigit((unsigned char)*next))
            asking->udp_size = (uint16_t)script_number(script, phrase_next(phrase));
    } else if (phrase_take(phrase, "option")) {
        option_parse(script, phrase, asking);
    } else if (phrase_take(phrase, "cookie")) {
        cookie_parse(script, phrase, asking, without);
    } else if (phrase_take(phrase, "client-cookie")) {
        asking->cookie = COOKIE_CLIENT;
    } else {
        return false;
    }
    return true;
}

static void transport_parse(const struct script *script, struct phrase *phrase,
                            struct asking *asking)
{
    if (phrase_take(phrase, "tcp"))
        asking->tcp = true;
    else
        phrase_expect(script, phrase, "udp");
}

struct asking asking_parse(const struct script *script, struct phrase *phrase, bool by_client)
{
    struct asking asking = {.recursion = true, .edns = !by_client, .udp_size = UPSTREAM_UDP_SIZE};
    bool without = false;
    asking.name = name_of(script, phrase_need(script, phrase, "the name that is asked for"));
    asking.type = type_of(script, phrase_need(script, phrase, "the type that is asked for"));
    for (;;) {
        if (phrase_take(phrase, "without"))
            without = true;
        else if (phrase_take(phrase, "with"))
            without = false;
        else if (phrase_take(phrase, "over"))
            transport_parse(script, phrase, &asking);
        else if (phrase_take(phrase, "case"))
            case_parse(script, phrase, &asking);
        else if (!phrase_take(phrase, "and") && !quality_parse(script, phrase, &asking, without))
            return asking;
    }
}

// --- from octets and to them -------------------------------------------------------------------

size_t asking_write(const struct asking *asking, uint8_t *out, size_t size)
{
    struct writer w = writer_over(out, size);
    write_u16(&w, asking->id);
    write_u8(&w, asking->recursion ? HEADER_RD : 0);
    write_u8(&w, asking->checking_disabled ? HEADER_CD : 0);
    write_u16(&w, 1);
    write_u32(&w, 0);
    write_u16(&w, asking->edns);
    write_bytes(&w, asking->name.bytes, asking->name.len);
    write_u16(&w, asking->type);
    write_u16(&w, CLASS_IN);
    if (asking->edns) {
        opt_write(write_room(&w, OPT_LEN), asking->udp_size, 0, asking->dnssec_ok);
        store_be16(w.bytes + w.at - 2, (uint16_t)asking->options_len);
        write_bytes(&w, asking->options, asking->options_len);
    }
    return w.failed ? 0 : w.at;
}

static void options_read(FILE *trouble, struct asking *asking, const uint8_t *bytes, size_t len)
{
    struct reader r = reader_over(bytes, len);
    asking->cookie = COOKIE_ABSENT;
    while (r.at < r.len && !r.failed) {
        uint16_t code = read_u16(&r);
        uint16_t option_len = read_u16(&r);
        const uint8_t *option = read_bytes(&r, option_len);
        if (code != OPTION_COOKIE || !option || option_len < COOKIE_CLIENT_LEN) {
            fprintf(trouble, " with option %u", code);
            continue;
        }
        asking->cookie_len = option_len - COOKIE_CLIENT_LEN;
        asking->cookie = asking->cookie_len > 0 ? COOKIE_SERVER : COOKIE_CLIENT;
        memcpy(asking->cookie_server, option + COOKIE_CLIENT_LEN, asking->cookie_len);
    }
}

static void opt_read(FILE *trouble, struct asking *asking, struct reader *r)
{
    struct record record;
    if (!record_read(r, &record) || record.type != TYPE_OPT) {
        fprintf(trouble, " with a record that is no OPT");
        return;
    }
    asking->edns = true;
    asking->dnssec_ok = record.ttl & OPT_DO;
    asking->udp_size = record.class;
    if (record.ttl & ~(uint32_t)OPT_DO)
        fprintf(trouble, " with other bits in its OPT");
    if (record.class != UPSTREAM_UDP_SIZE)
        fprintf(trouble, " with edns %u", record.class);
    options_read(trouble, asking, r->bytes + record.data_at, record.data_len);
}

struct asking asking_read(const uint8_t *bytes, size_t len, bool tcp)
{
    struct asking asking = {.tcp = tcp};
    size_t size;
    FILE *trouble = open_memstream(&asking.trouble, &size);
    struct reader r = reader_over(bytes, len);
    asking.id = read_u16(&r);
    uint8_t flags = read_u8(&r), more = read_u8(&r);
    unsigned questions = read_u16(&r), answers = read_u16(&r);
    unsigned authority = read_u16(&r), additional = read_u16(&r);
    asking.recursion = flags & HEADER_RD;
    asking.checking_disabled = more & HEADER_CD;
    if (flags & ~HEADER_RD || more & ~HEADER_CD)
        fprintf(trouble, " with other bits in its header");
    if (questions != 1 || answers || authority || additional > 1 || !name_read(&r, &asking.name))
        fprintf(trouble, " with other sections than a question and an OPT");
    asking.type = read_u16(&r);
    if (read_u16(&r) != CLASS_IN)
        fprintf(trouble, " in another class than IN");
    if (additional > 0)
        opt_read(trouble, &asking, &r);
    else
        asking.cookie = COOKIE_ABSENT;
    if (r.failed || r.at != r.len)
        fprintf(trouble, " with a wrong length");
    fclose(trouble);
    return asking;
}

// --- to words ----------------------------------------------------------------------------------

static void cookie_print(FILE *out, const struct asking *asking, const struct asking *wanted)
{
    enum cookie_words cookie = asking->cookie;
    if (wanted->cookie == COOKIE_UNSAID)
        return;
    if (wanted->cookie == COOKIE_ANY && cookie != COOKIE_ABSENT)
        cookie = COOKIE_ANY;
    fprintf(out, "%s",
            cookie == COOKIE_ABSENT   ? " without cookie"
            : cookie == COOKIE_CLIENT ? " with client-cookie"
                                      : " with cookie ");
    for (size_t i = 0; cookie == COOKIE_SERVER && i < asking->cookie_len; i++)
        fprintf(out, "%02x", asking->cookie_server[i]);
}

static bool has_upper(const struct name *name)
{
    uint8_t lower[NAME_MAX_LEN];
    name_lower(lower, name->bytes, name->len);
    return memcmp(lower, name->bytes, name->len) != 0;
}

void asking_print(FILE *out, const struct asking *asking, const struct asking *wanted)
{
    struct name lower = {.len = asking->name.len};
    name_lower(lower.bytes, asking->name.bytes, asking->name.len);
    name_print(out, &lower);
    fprintf(out, " ");
    type_print(out, asking->type);
    fprintf(out, " over %s%s%s%s%s", asking->tcp ? "tcp" : "udp",
            asking->dnssec_ok ? " with do" : "", asking->checking_disabled ? " with cd" : "",
            asking->edns ? "" : " without edns", asking->recursion ? "" : " without rd");
    cookie_print(out, asking, wanted);
    enum case_words name_case = asking->name_case;
    if (asking->trouble)
        name_case = has_upper(&asking->name) ? CASE_MIXED : CASE_LOWER;
    if (wanted->name_case != CASE_UNSAID)
        fprintf(out, " case %s", name_case == CASE_LOWER ? "lower" : "mixed");
    if (asking->trouble)
        fprintf(out, "%s", asking->trouble);
}
