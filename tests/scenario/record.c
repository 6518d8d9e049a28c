// SPDX-License-Identifier: MIT
#include "tests/scenario/record.h"

#include "core/address.h"

#include <ctype.h>
#include <stdlib.h>

static const struct {
    const char *name;
    uint16_t type;
} types[] = {
    {"A", TYPE_A},         {"NS", TYPE_NS},       {"CNAME", TYPE_CNAME}, {"SOA", TYPE_SOA},
    {"PTR", TYPE_PTR},     {"MX", TYPE_MX},       {"TXT", TYPE_TXT},     {"AAAA", TYPE_AAAA},
    {"RRSIG", TYPE_RRSIG}, {"DNAME", TYPE_DNAME}, {"ANY", TYPE_ANY},
};

struct name name_of(const struct script *script, const char *word)
{
    struct name name;
    if (!name_parse(&name, word, strlen(word)))
        script_fail(script, "\"%s\" is no name", word);
    return name;
}

static int type_find(const char *word)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, word) == 0)
            return types[i].type;
    }
    char *end;
    unsigned long number = strncmp(word, "TYPE", 4) == 0 ? strtoul(word + 4, &end, 10) : 0;
    return number > 0 && number <= UINT16_MAX && *end == '\0' ? (int)number : -1;
}

bool is_type(const char *word)
{
    return word && type_find(word) >= 0;
}

uint16_t type_of(const struct script *script, const char *word)
{
    int type = type_find(word);
    if (type < 0)
        script_fail(script, "\"%s\" is no type of records: give A, AAAA, ... or TYPE65280", word);
    return (uint16_t)type;
}

void type_print(FILE *out, uint16_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type == type) {
            fprintf(out, "%s", types[i].name);
            return;
        }
    }
    fprintf(out, "TYPE%u", type);
}

void name_print(FILE *out, const struct name *name)
{
    char text[NAME_TEXT_SIZE];
    size_t len = name_format(name, text);
    fprintf(out, "%.*s", (int)(len > 1 ? len - 1 : len), text);
}

// --- from text ---------------------------------------------------------------------------------

static struct name owner_of(const struct script *script, const char *word,
                            const struct name *origin)
{
    return strcmp(word, "@") == 0 ? *origin : name_of(script, word);
}

static uint32_t number_of(const struct script *script, struct phrase *phrase, const char *what)
{
    return (uint32_t)script_number(script, phrase_need(script, phrase, what));
}

static void name_write(struct writer *out, const struct name *name)
{
    write_bytes(out, name->bytes, name->len);
}

static void address_write(const struct script *script, struct phrase *phrase, struct writer *out,
                          uint16_t type)
{
    struct address address;
    const char *word = phrase_need(script, phrase, "the address");
    uint8_t family = type == TYPE_A ? ADDRESS_IPV4 : ADDRESS_IPV6;
    if (!address_parse(&address, word, strlen(word), 0) || address.family != family)
        script_fail(script, "\"%s\" is no address of this type", word);
    write_bytes(out, address.ip, type == TYPE_A ? 4 : 16);
}

static void soa_write(const struct script *script, struct phrase *phrase, struct writer *out,
                      const struct name *origin)
{
    for (unsigned i = 0; i < 2; i++) {
        struct name name = owner_of(script, phrase_need(script, phrase, "a name"), origin);
        name_write(out, &name);
    }
    for (unsigned i = 0; i < 5; i++)
        write_u32(out, number_of(script, phrase, "a number of the SOA"));
}

static void text_write(const struct script *script, struct phrase *phrase, struct writer *out)
{
    const char *word = phrase_need(script, phrase, "a text");
    do {
        bool quoted = *word == '"';
        size_t len = strlen(word) - 2u * quoted;
        if (len > UINT8_MAX)
            script_fail(script, "a text of more than %d octets", UINT8_MAX);
        write_u8(out, (uint8_t)len);
        write_bytes(out, word + quoted, len);
    } while ((word = phrase_next(phrase)));
}

// RFC 3597 5: \# LENGTH HEX.
static void generic_write(const struct script *script, struct phrase *phrase, struct writer *out)
{
    static uint8_t octets[MESSAGE_LEN_MAX];
    phrase_expect(script, phrase, "\\#");
    uint32_t len = number_of(script, phrase, "the length");
    if (script_octets(script, phrase, octets, sizeof octets) != len)
        script_fail(script, "these are not %u octets", len);
    write_bytes(out, octets, len);
}

static void data_write(const struct script *script, struct phrase *phrase, struct writer *out,
                       uint16_t type, const struct name *origin)
{
    struct name name;
    switch (type) {
    case TYPE_A:
    case TYPE_AAAA:
        address_write(script, phrase, out, type);
        break;
    case TYPE_MX:
        write_u16(out, (uint16_t)number_of(script, phrase, "the preference"));
        __attribute__((fallthrough));
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_DNAME:
    case TYPE_PTR:
        name = owner_of(script, phrase_need(script, phrase, "a name"), origin);
        name_write(out, &name);
        break;
    case TYPE_SOA:
        soa_write(script, phrase, out, origin);
        break;
    case TYPE_TXT:
        text_write(script, phrase, out);
        break;
    default:
        generic_write(script, phrase, out);
        break;
    }
}

static void head_write(struct writer *out, const struct name *owner, uint16_t type, uint32_t ttl)
{
    name_write(out, owner);
    write_u16(out, type);
    write_u16(out, CLASS_IN);
    write_u32(out, ttl);
}

unsigned record_write(const struct script *script, struct phrase *phrase, const struct name *origin,
                      struct writer *out)
{
    static uint8_t octets[MESSAGE_LEN_MAX];
    unsigned section = phrase_take(phrase, "authority")    ? 1
                       : phrase_take(phrase, "additional") ? 2
                                                           : 0;
    if (phrase_take(phrase, "octets")) {
        write_bytes(out, octets, script_octets(script, phrase, octets, sizeof octets));
    } else {
        struct name owner = owner_of(script, phrase_need(script, phrase, "the owner"), origin);
        uint32_t ttl = number_of(script, phrase, "the TTL");
        uint16_t type = type_of(script, phrase_need(script, phrase, "the type"));
        head_write(out, &owner, type, ttl);
        size_t at = out->at;
        write_u16(out, 0);
        data_write(script, phrase, out, type, origin);
        if (!out->failed)
            store_be16(out->bytes + at, (uint16_t)(out->at - at - 2));
    }
    phrase_end(script, phrase);
    if (out->failed)
        script_fail(script, "the records are too long for a message");
    return section;
}

void record_write_address(struct writer *out, const struct name *owner, uint32_t ttl,
                          const struct address *address)
{
    uint16_t len = address->family == ADDRESS_IPV4 ? 4 : 16;
    head_write(out, owner, len == 4 ? TYPE_A : TYPE_AAAA, ttl);
    write_u16(out, len);
    write_bytes(out, address->ip, len);
}

// --- to text -----------------------------------------------------------------------------------

static void address_print(FILE *out, const struct reader *data, uint16_t type)
{
    char text[ADDRESS_TEXT_MAX];
    struct address address = {.family = type == TYPE_A ? ADDRESS_IPV4 : ADDRESS_IPV6};
    memcpy(address.ip, data->bytes + data->at, type == TYPE_A ? 4 : 16);
    address_format(&address, text);
    fprintf(out, " %s", text);
}

static void name_of_data_print(FILE *out, struct reader *data)
{
    struct name name;
    fprintf(out, " ");
    if (name_read(data, &name))
        name_print(out, &name);
}

static void text_print(FILE *out, struct reader *data)
{
    while (data->at < data->len && !data->failed) {
        uint8_t len = read_u8(data);
        const uint8_t *bytes = read_bytes(data, len);
        fprintf(out, " \"%.*s\"", bytes ? len : 0, bytes ? (const char *)bytes : "");
    }
}

static void generic_print(FILE *out, struct reader *data)
{
    fprintf(out, " \\# %zu ", data->len - data->at);
    while (data->at < data->len)
        fprintf(out, "%02x", read_u8(data));
}

void record_print(FILE *out, const struct reader *message, const struct record *record)
{
    struct reader data = reader_over(message->bytes, record->data_at + record->data_len);
    size_t fixed = record->type == TYPE_A ? 4 : record->type == TYPE_AAAA ? 16 : 0;
    data.at = record->data_at;
    name_print(out, &record->owner);
    fprintf(out, " %u ", record->ttl);
    type_print(out, record->type);
    if (record->class != CLASS_IN)
        fprintf(out, " in class %u", record->class);
    switch (fixed && fixed != record->data_len ? 0 : record->type) {
    case TYPE_A:
    case TYPE_AAAA:
        address_print(out, &data, record->type);
        return;
    case TYPE_MX:
        fprintf(out, " %u", read_u16(&data));
        __attribute__((fallthrough));
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_DNAME:
    case TYPE_PTR:
        name_of_data_print(out, &data);
        return;
    case TYPE_SOA:
        name_of_data_print(out, &data);
        name_of_data_print(out, &data);
        for (unsigned i = 0; i < 5; i++)
            fprintf(out, " %u", read_u32(&data));
        return;
    case TYPE_TXT:
        text_print(out, &data);
        return;
    default:
        generic_print(out, &data);
        return;
    }
}
