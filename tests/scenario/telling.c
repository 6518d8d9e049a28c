// SPDX-License-Identifier: MIT
#include "tests/scenario/telling.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    TTL_UNSAID = 300,
    SOA_MINIMUM = 3600,
    OPTION_COOKIE = 10,
    OPTION_EDE = 15,
};

static const struct {
    const char *name;
    uint16_t rcode;
} rcodes[] = {
    {"NOERROR", RCODE_NOERROR},   {"FORMERR", RCODE_FORMERR}, {"SERVFAIL", RCODE_SERVFAIL},
    {"NXDOMAIN", RCODE_NXDOMAIN}, {"NOTIMP", RCODE_NOTIMP},   {"REFUSED", RCODE_REFUSED},
    {"YXDOMAIN", RCODE_YXDOMAIN}, {"BADVERS", RCODE_BADVERS}, {"BADCOOKIE", RCODE_BADCOOKIE},
};

// --- from words --------------------------------------------------------------------------------

static bool rcode_parse(struct phrase *phrase, uint16_t *rcode)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++) {
        if (phrase_take(phrase, rcodes[i].name)) {
            *rcode = rcodes[i].rcode;
            return true;
        }
    }
    return false;
}

static bool address_take(const struct script *script, struct phrase *phrase, struct telling *t)
{
    const char *word = phrase_peek(phrase);
    size_t spread = script_spread(script, word);
    char *first = script_spread_word(script, word, 0);
    struct address address;
    bool is = address_parse(&address, first, strlen(first), 0);
    free(first);
    for (size_t i = 0; is && i < spread; i++) {
        char *one = script_spread_word(script, word, i);
        if (t->address_count == TELLING_ADDRESSES_MAX ||
            !address_parse(&t->addresses[t->address_count++], one, strlen(one), 0))
            script_fail(script, "\"%s\" is more than %d addresses, or not only addresses", word,
                        TELLING_ADDRESSES_MAX);
        free(one);
    }
    phrase->at += is;
    return is;
}

// The SOA record that an answer which denies something carries: of the last label of the name.
static void soa_write(struct telling *t, const struct name *name, uint32_t ttl)
{
    static const uint8_t names[] = "\2ns\0\4host\0";
    struct writer *out = &t->sections[1];
    size_t at = 0;
    while (at + 1u + name->bytes[at] + 1 < name->len)
        at += 1u + name->bytes[at];
    write_bytes(out, name->bytes + at, name->len - at);
    write_u16(out, TYPE_SOA);
    write_u16(out, CLASS_IN);
    write_u32(out, ttl);
    write_u16(out, (uint16_t)(sizeof names - 1 + 20));
    write_bytes(out, names, sizeof names - 1);
    for (unsigned i = 1; i <= 4; i++)
        write_u32(out, i);
    write_u32(out, SOA_MINIMUM);
    t->counts[1]++;
}

static void items_take(const struct script *script, struct telling *t, const struct phrase *items,
                       size_t item_count, const struct name *name)
{
    for (size_t i = 0; i < item_count; i++) {
        size_t spread = 1;
        for (size_t w = 0; w < items[i].count; w++) {
            size_t words = script_spread(script, items[i].words[w]);
            spread = words > spread ? words : spread;
        }
        for (size_t n = 0; n < spread; n++) {
            struct phrase copy = {.words = script_memory(script, items[i].count * sizeof(char *)),
                                  .count = items[i].count};
            for (size_t w = 0; w < copy.count; w++)
                copy.words[w] = script_spread_word(script, items[i].words[w], n);
            bool authority = copy.count > 0 && strcmp(copy.words[0], "authority") == 0;
            bool additional = copy.count > 0 && strcmp(copy.words[0], "additional") == 0;
            unsigned section = authority ? 1 : additional ? 2 : 0;
            t->counts[record_write(script, &copy, name, &t->sections[section])]++;
        }
    }
}

static void cookie_parse(const struct script *script, struct phrase *phrase, struct telling *t)
{
    t->cookie = COOKIE_CLIENT;
    t->cookie_len = script_octets(script, phrase, t->cookie_server, sizeof t->cookie_server);
    if (t->cookie_len > 0)
        t->cookie = COOKIE_SERVER;
}

static void question_parse(const struct script *script, struct phrase *phrase, struct telling *t)
{
    t->question_other = true;
    t->question_name = name_of(script, phrase_need(script, phrase, "the question's name"));
    t->question_type = type_of(script, phrase_need(script, phrase, "the question's type"));
}

static void option_parse(const struct script *script, struct phrase *phrase, struct telling *t)
{
    uint8_t bytes[256];
    uint64_t code = script_number(script, phrase_need(script, phrase, "the option's code"));
    size_t len = script_octets(script, phrase, bytes, sizeof bytes);
    struct writer out = {.bytes = t->options, .size = sizeof t->options, .at = t->options_len};
    option_write(&out, (uint16_t)code, bytes, len);
    t->options_len = out.at;
}

static void case_parse(const struct script *script, struct phrase *phrase, struct telling *t)
{
    if (phrase_take(phrase, "lower"))
        t->name_case = TOLD_LOWER;
    else if (phrase_take(phrase, "upper"))
        t->name_case = TOLD_UPPER;
    else if (phrase_take(phrase, "other"))
        t->name_case = TOLD_OTHER;
    else
        script_fail(script, "which case? lower, upper or other");
}

// Takes one thing that only an upstream says; false: the word is not known here.
static bool upstream_parse(const struct script *script, struct phrase *phrase, struct telling *t,
                           bool without)
{
    if (phrase_take(phrase, "qr")) {
        t->response = !without;
    } else if (phrase_take(phrase, "edns")) {
        t->edns = !without;
    } else if (phrase_take(phrase, "cookie")) {
        cookie_parse(script, phrase, t);
    } else if (phrase_take(phrase, "wrong")) {
        bool cookie = phrase_take(phrase, "cookie");
        if (!cookie)
            phrase_expect(script, phrase, "id");
        *(cookie ? &t->cookie_wrong : &t->id_wrong) = true;
        if (cookie)
            cookie_parse(script, phrase, t);
    } else if (phrase_take(phrase, "question")) {
        if (without)
            t->question_none = true;
        else
            question_parse(script, phrase, t);
    } else if (phrase_take(phrase, "option")) {
        option_parse(script, phrase, t);
    } else if (phrase_take(phrase, "case")) {
        case_parse(script, phrase, t);
    } else if (phrase_take(phrase, "cut")) {
        phrase_expect(script, phrase, "to");
        t->cut = script_number(script, phrase_need(script, phrase, "the length"));
    } else if (phrase_take(phrase, "counts")) {
        t->counts_lie = true;
        for (unsigned i = 0; i < SECTIONS; i++)
            t->counts_said[i] =
                (uint16_t)script_number(script, phrase_need(script, phrase, "a count"));
    } else if (phrase_take(phrase, "twice")) {
        t->times = 2;
    } else {
        return false;
    }
    return true;
}

static bool common_parse(const struct script *script, struct phrase *phrase, struct telling *t,
                         const struct name *name, bool without)
{
    if (phrase_take(phrase, "aa")) {
        t->authoritative = !without;
    } else if (phrase_take(phrase, "tc")) {
        t->truncated = !without;
    } else if (phrase_take(phrase, "ad")) {
        t->authentic = !without;
    } else if (phrase_take(phrase, "ra")) {
        t->recursion = !without;
    } else if (phrase_take(phrase, "ede")) {
        if (t->ede_count == TELLING_EDES_MAX)
            script_fail(script, "more than %d times ede", TELLING_EDES_MAX);
        t->edes[t->ede_count++] =
            (unsigned)script_number(script, phrase_need(script, phrase, "the code"));
    } else if (phrase_take(phrase, "ttl")) {
        t->ttl = (uint32_t)script_number(script, phrase_need(script, phrase, "the TTL"));
    } else if (phrase_take(phrase, "soa")) {
        soa_write(t, name, (uint32_t)script_number(script, phrase_need(script, phrase, "the TTL")));
    } else {
        return false;
    }
    return true;
}

static struct telling telling_begin(const struct script *script)
{
    struct telling t = {
        .recursion = true, .response = true, .edns = true, .times = 1, .ttl = TTL_UNSAID};
    for (unsigned i = 0; i < SECTIONS; i++)
        t.sections[i] = writer_over(script_room(script, MESSAGE_LEN_MAX), MESSAGE_LEN_MAX);
    return t;
}

struct telling telling_parse(const struct script *script, struct phrase *phrase,
                             const struct phrase *items, size_t item_count, const struct name *name,
                             bool by_upstream)
{
    struct telling t = telling_begin(script);
    bool without = false;
    while (phrase_peek(phrase)) {
        if (phrase_take(phrase, "without"))
            without = true;
        else if (phrase_take(phrase, "with"))
            without = false;
        else if (phrase_take(phrase, "and") || rcode_parse(phrase, &t.rcode) ||
                 common_parse(script, phrase, &t, name, without) ||
                 (by_upstream && upstream_parse(script, phrase, &t, without)) ||
                 address_take(script, phrase, &t))
            continue;
        else
            script_fail(script, "\"%s\" is not understood here", phrase_peek(phrase));
    }
    for (size_t i = 0; i < t.address_count; i++)
        record_write_address(&t.sections[0], name, t.ttl, &t.addresses[i]);
    t.counts[0] = (uint16_t)t.address_count;
    items_take(script, &t, items, item_count, name);
    return t;
}

// --- an upstream's octets ----------------------------------------------------------------------

static void case_write(uint8_t *bytes, size_t len, enum told_case name_case)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalpha(bytes[i]))
            continue;
        if (name_case == TOLD_LOWER)
            bytes[i] = (uint8_t)tolower(bytes[i]);
        else if (name_case == TOLD_UPPER)
            bytes[i] = (uint8_t)toupper(bytes[i]);
        else
            bytes[i] ^= 0x20;
        if (name_case == TOLD_OTHER)
            return;
    }
}

static void question_write(const struct telling *t, struct writer *out, const uint8_t *query)
{
    size_t name_len = name_length(query + MESSAGE_HEADER_LEN, NAME_MAX_LEN);
    if (t->question_none)
        return;
    if (t->question_other) {
        write_bytes(out, t->question_name.bytes, t->question_name.len);
        write_u16(out, t->question_type);
        write_u16(out, CLASS_IN);
        return;
    }
    size_t at = out->at;
    write_bytes(out, query + MESSAGE_HEADER_LEN, name_len + 4);
    if (t->name_case != TOLD_AS_ASKED)
        case_write(out->bytes + at, name_len, t->name_case);
}

// The client's part of the cookie that the query bears.
static const uint8_t *cookie_of(const uint8_t *query, size_t query_len)
{
    struct reader r = reader_over(query, query_len);
    struct record opt;
    const uint8_t *cookie = NULL;
    r.at = MESSAGE_HEADER_LEN + name_length(query + MESSAGE_HEADER_LEN, NAME_MAX_LEN) + 4;
    if (record_read(&r, &opt) && cookie_find(query + opt.data_at, opt.data_len, &cookie) > 0)
        return cookie;
    return NULL;
}

static void edns_write(const struct telling *t, struct writer *out, const uint8_t *query,
                       size_t query_len)
{
    uint8_t cookie[COOKIE_MAX_LEN] = {0};
    const uint8_t *ours = cookie_of(query, query_len);
    uint8_t *opt = write_room(out, OPT_LEN);
    if (!opt)
        return;
    opt_write(opt, UPSTREAM_UDP_SIZE, t->rcode, false);
    size_t at = out->at;
    if (t->cookie != COOKIE_UNSAID && ours) {
        memcpy(cookie, ours, COOKIE_CLIENT_LEN);
        cookie[0] ^= t->cookie_wrong;
        memcpy(cookie + COOKIE_CLIENT_LEN, t->cookie_server, t->cookie_len);
        option_write(out, OPTION_COOKIE, cookie, COOKIE_CLIENT_LEN + t->cookie_len);
    }
    write_bytes(out, t->options, t->options_len);
    store_be16(opt + OPT_LEN - 2, (uint16_t)(out->at - at));
}

size_t telling_write(const struct telling *t, const uint8_t *query, size_t query_len, uint8_t *out,
                     size_t size)
{
    struct writer w = writer_over(out, size);
    bool edns = t->edns && load_be16(query + 10) > 0;
    write_u16(&w, (uint16_t)(load_be16(query) ^ (t->id_wrong ? 0x5555 : 0)));
    write_u8(&w, (uint8_t)((t->response ? HEADER_QR : 0) | (t->authoritative ? HEADER_AA : 0) |
                           (t->truncated ? HEADER_TC : 0) | HEADER_RD));
    write_u8(&w, (uint8_t)((t->recursion ? HEADER_RA : 0) | (t->authentic ? HEADER_AD : 0) |
                           (t->rcode & HEADER_RCODE)));
    write_u16(&w, !t->question_none);
    for (unsigned i = 0; i < SECTIONS; i++)
        write_u16(&w,
                  (uint16_t)(t->counts_lie ? t->counts_said[i] : t->counts[i] + (i == 2 && edns)));
    question_write(t, &w, query);
    for (unsigned i = 0; i < SECTIONS; i++)
        write_bytes(&w, t->sections[i].bytes, t->sections[i].at);
    if (edns)
        edns_write(t, &w, query, query_len);
    if (w.failed)
        return 0;
    return t->cut && t->cut < w.at ? t->cut : w.at;
}

// --- a client's octets -------------------------------------------------------------------------

static void opt_take(FILE *trouble, struct telling *t, const struct reader *message,
                     const struct record *opt, const struct query *query)
{
    struct reader r = {
        .bytes = message->bytes, .len = opt->data_at + opt->data_len, .at = opt->data_at};
    t->edns = true;
    t->rcode |= (uint16_t)(opt->ttl >> 24 << 4);
    if ((opt->ttl >> 16 & 0xff) || (opt->ttl & 0x7fff) || opt->owner.len != 1)
        fprintf(trouble, " with a wrong OPT");
    if (!(opt->ttl & 0x8000) != !query->dnssec_ok)
        fprintf(trouble, " with another do");
    while (r.at < r.len && !r.failed) {
        uint16_t code = read_u16(&r), len = read_u16(&r);
        const uint8_t *bytes = read_bytes(&r, len);
        if (code != OPTION_EDE || len != 2 || !bytes || t->ede_count == TELLING_EDES_MAX)
            fprintf(trouble, " with option %u", code);
        else
            t->edes[t->ede_count++] = load_be16(bytes);
    }
}

static void records_read(FILE *trouble, struct telling *t, struct reader *r,
                         const struct query *query)
{
    for (unsigned section = 0; section < SECTIONS; section++) {
        unsigned count = load_be16(r->bytes + 6 + 2 * section);
        for (unsigned i = 0; i < count; i++) {
            struct record record;
            if (!record_read(r, &record)) {
                fprintf(trouble, " with broken records");
                return;
            }
            if (record.type == TYPE_OPT) {
                opt_take(trouble, t, r, &record, query);
                continue;
            }
            // Its text is kept: names in the data are compressed.
            char *text = NULL;
            size_t size;
            FILE *out = open_memstream(&text, &size);
            record_print(out, r, &record);
            fclose(out);
            write_bytes(&t->sections[section], text, size + 1);
            free(text);
            t->counts[section]++;
        }
    }
    if (r->at != r->len)
        fprintf(trouble, " with octets behind its end");
}

static void header_read(FILE *trouble, struct telling *t, struct reader *r,
                        const struct query *query)
{
    const uint8_t *bytes = r->bytes;
    uint8_t copied = HEADER_RD | HEADER_OPCODE;
    t->authoritative = bytes[2] & HEADER_AA;
    t->truncated = bytes[2] & HEADER_TC;
    t->recursion = bytes[3] & HEADER_RA;
    t->authentic = bytes[3] & HEADER_AD;
    t->rcode = bytes[3] & HEADER_RCODE;
    if (load_be16(bytes) != query->id)
        fprintf(trouble, " with wrong id");
    if (!(bytes[2] & HEADER_QR))
        fprintf(trouble, " without qr");
    if ((bytes[2] & copied) != (query->flags & copied))
        fprintf(trouble, " with another rd or opcode");
    if (!(bytes[3] & HEADER_CD) != !query->checking_disabled)
        fprintf(trouble, " with another cd");
    size_t question_len = query->name_len ? query->name_len + 4u : 0;
    const uint8_t *question = bytes + MESSAGE_HEADER_LEN;
    r->at = MESSAGE_HEADER_LEN;
    if (load_be16(bytes + 4) != (question_len > 0) || !read_bytes(r, question_len))
        fprintf(trouble, " without question");
    else if (memcmp(question, query->message + MESSAGE_HEADER_LEN, question_len) != 0)
        fprintf(trouble, " with another question or name_case");
}

struct telling telling_read(const uint8_t *bytes, size_t len, const uint8_t *asked,
                            size_t asked_len, bool tcp, unsigned payload_max)
{
    struct script no_script = {.path = "telling_read"};
    struct telling t = telling_begin(&no_script);
    struct reader r = reader_over(bytes, len);
    struct query query;
    size_t size;
    FILE *trouble = open_memstream(&t.trouble, &size);
    (void)query_read(&query, asked, asked_len);
    query.transport = tcp ? TRANSPORT_TCP : TRANSPORT_UDP;
    t.edns = false;
    if (len < MESSAGE_HEADER_LEN) {
        fprintf(trouble, " without header");
    } else {
        header_read(trouble, &t, &r, &query);
        records_read(trouble, &t, &r, &query);
        if (t.edns != query.edns)
            fprintf(trouble, t.edns ? " with edns" : " without edns");
        if (len > query_reply_max(&query, (uint16_t)payload_max))
            fprintf(trouble, " with more octets than the client takes");
    }
    fclose(trouble);
    return t;
}

// --- to words ----------------------------------------------------------------------------------

static int text_compare(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static char *next_text(const struct telling *t, struct reader *r)
{
    // What was read holds texts, what was written holds records.
    if (t->trouble) {
        char *text = strdup((const char *)r->bytes + r->at);
        r->at += strlen(text) + 1;
        return text;
    }
    char *text = NULL;
    size_t size;
    struct record record;
    FILE *out = open_memstream(&text, &size);
    if (record_read(r, &record))
        record_print(out, r, &record);
    fclose(out);
    return text;
}

static void section_print(FILE *out, const struct telling *t, unsigned section, bool *first)
{
    static const char *const names[SECTIONS] = {"", "authority ", "additional "};
    struct reader r = reader_over(t->sections[section].bytes, t->sections[section].at);
    size_t count = t->counts[section];
    char **texts = calloc(count + 1, sizeof *texts);
    if (!texts)
        abort();
    for (size_t i = 0; i < count; i++)
        texts[i] = next_text(t, &r);
    // The order is no promise: several addresses are given in turn.
    qsort(texts, count, sizeof *texts, text_compare);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s %s%s", *first ? ":" : ";", names[section], texts[i]);
        *first = false;
        free(texts[i]);
    }
    free(texts);
}

static void rcode_print(FILE *out, uint16_t rcode)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++) {
        if (rcodes[i].rcode == rcode) {
            fprintf(out, "%s", rcodes[i].name);
            return;
        }
    }
    fprintf(out, "RCODE%u", rcode);
}

char *telling_text(const struct telling *t)
{
    char *text = NULL;
    size_t size;
    bool first = true;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    rcode_print(out, t->rcode);
    fprintf(out, "%s%s%s%s", t->authoritative ? " aa" : "", t->truncated ? " tc" : "",
            t->authentic ? " ad" : "", t->recursion ? "" : " without ra");
    for (unsigned i = 0; i < t->ede_count; i++)
        fprintf(out, " ede %u", t->edes[i]);
    if (t->trouble)
        fprintf(out, "%s", t->trouble);
    for (unsigned section = 0; section < SECTIONS; section++)
        section_print(out, t, section, &first);
    fclose(out);
    return text;
}
