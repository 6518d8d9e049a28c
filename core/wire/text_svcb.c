// SPDX-License-Identifier: MIT
#include "core/wire/text_scan.h"

// Parameters of SVCB and HTTPS records (RFC 9460 2.1, 7, 8; RFC 9461 for dohpath). They are
// collected first, as they must stand in the order of their keys.

enum {
    KEY_MANDATORY,
    KEY_ALPN,
    KEY_NO_DEFAULT_ALPN,
    KEY_PORT,
    KEY_IPV4HINT,
    KEY_ECH,
    KEY_IPV6HINT,
    KEY_DOHPATH,
    KEY_INVALID = 65535,
    PARAMETERS_MAX = 32,
};

static const char *const key_names[] = {"mandatory", "alpn", "no-default-alpn", "port",
                                        "ipv4hint",  "ech",  "ipv6hint",        "dohpath"};

struct parameter {
    uint16_t key;
    uint16_t at; // in the values
    uint16_t len;
};

struct parameters {
    struct scan *scan;
    struct parameter items[PARAMETERS_MAX];
    size_t count;
    struct writer values;
    uint8_t octets[TEXT_DATA_MAX];
};

// -1: there is no such key.
static int key_read(struct word word)
{
    uint64_t number;
    for (size_t i = 0; i < sizeof key_names / sizeof *key_names; i++) {
        if (word_is(word, key_names[i]))
            return (int)i;
    }
    if (word.len > 3 && word_is((struct word){word.text, 3}, "key") &&
        word_number((struct word){word.text + 3, word.len - 3}, KEY_INVALID - 1, &number))
        return (int)number;
    return -1;
}

// The next item of a list with commas between (RFC 9460 A.1): `\,` and `\\` stand for themselves.
// Writes it to `item` and returns its length; -1: it is empty, too long or has a bad escape.
static int item_next(const uint8_t *list, size_t len, size_t *at, uint8_t *item, size_t size)
{
    size_t count = 0;
    for (; *at < len && list[*at] != ','; ++*at) {
        if (list[*at] == '\\' && ++*at == len)
            return -1;
        if (count == size)
            return -1;
        item[count++] = list[*at];
    }
    ++*at; // the comma
    return count > 0 ? (int)count : -1;
}

static bool item_write(struct parameters *p, int key, const uint8_t *item, size_t len)
{
    struct word word = {(const char *)item, len};
    uint8_t ip[16];
    int named;
    switch (key) {
    case KEY_ALPN:
        write_u8(&p->values, (uint8_t)len);
        write_bytes(&p->values, item, len);
        return true;
    case KEY_IPV4HINT:
        if (!ipv4_read(word, ip))
            return scan_fail(p->scan, "ipv4hint: %s is no IPv4 address", shown_of(word).text);
        write_bytes(&p->values, ip, 4);
        return true;
    case KEY_IPV6HINT:
        if (!ipv6_read(word, ip))
            return scan_fail(p->scan, "ipv6hint: %s is no IPv6 address", shown_of(word).text);
        write_bytes(&p->values, ip, 16);
        return true;
    default:
        named = key_read(word);
        if (named <= KEY_MANDATORY)
            return scan_fail(p->scan, "mandatory: %s is no key that can be", shown_of(word).text);
        write_u16(&p->values, (uint16_t)named);
        return true;
    }
}

static bool list_write(struct parameters *p, int key, const uint8_t *list, size_t len)
{
    uint8_t item[255];
    size_t at = 0;
    do {
        int item_len = item_next(list, len, &at, item, sizeof item);
        if (item_len < 0)
            return scan_fail(p->scan,
                             "%s: an item of the list is empty, too long or has a bad "
                             "escape",
                             key_names[key]);
        if (!item_write(p, key, item, (size_t)item_len))
            return false;
    } while (at <= len);
    return true;
}

static bool value_write(struct parameters *p, int key, struct word word)
{
    uint8_t octets[TEXT_DATA_MAX];
    int len = word_octets(word, octets, sizeof octets);
    struct word plain = {(const char *)octets, len < 0 ? 0 : (size_t)len};
    uint64_t port;
    if (len < 0)
        return scan_fail(p->scan, "the value %s is too long or has a bad escape",
                         shown_of(word).text);
    bool wanted = key <= KEY_DOHPATH && key != KEY_NO_DEFAULT_ALPN;
    if (wanted != (len > 0) && key <= KEY_DOHPATH)
        return scan_fail(p->scan, "%s %s value", key_names[key], wanted ? "needs a" : "takes no");
    switch (key) {
    case KEY_MANDATORY:
    case KEY_ALPN:
    case KEY_IPV4HINT:
    case KEY_IPV6HINT:
        return list_write(p, key, octets, (size_t)len);
    case KEY_PORT:
        if (!word_number(plain, 65535, &port))
            return scan_fail(p->scan, "port: %s is no port", shown_of(word).text);
        write_u16(&p->values, (uint16_t)port);
        return true;
    case KEY_ECH: {
        uint8_t decoded[TEXT_DATA_MAX];
        int decoded_len = base64_read(plain, decoded, sizeof decoded);
        if (decoded_len <= 0)
            return scan_fail(p->scan, "ech: %s is no base64", shown_of(word).text);
        write_bytes(&p->values, decoded, (size_t)decoded_len);
        return true;
    }
    default:
        write_bytes(&p->values, octets, (size_t)len);
        return true;
    }
}

// Puts a key in its place; its value stands from `at` on.
static bool parameter_keep(struct parameters *p, uint16_t key, size_t at)
{
    size_t place = p->count;
    if (p->count == PARAMETERS_MAX)
        return scan_fail(p->scan, "there are more than %d parameters", PARAMETERS_MAX);
    while (place > 0 && p->items[place - 1].key > key)
        place--;
    if (place > 0 && p->items[place - 1].key == key)
        return scan_fail(p->scan, "a parameter (key %u) is given twice", key);
    for (size_t i = p->count++; i > place; i--)
        p->items[i] = p->items[i - 1];
    p->items[place] = (struct parameter){key, (uint16_t)at, (uint16_t)(p->values.at - at)};
    return true;
}

static const struct parameter *parameter_find(const struct parameters *p, uint16_t key)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].key == key)
            return &p->items[i];
    }
    return NULL;
}

// Sorts what mandatory lists; each stands once, and is there (RFC 9460 8).
static bool mandatory_check(struct parameters *p)
{
    const struct parameter *mandatory = parameter_find(p, KEY_MANDATORY);
    if (!mandatory)
        return true;
    uint8_t *keys = p->octets + mandatory->at;
    size_t count = mandatory->len / 2;
    for (size_t i = 0; i < count; i++) {
        uint16_t key = load_be16(keys + 2 * i);
        if (!parameter_find(p, key))
            return scan_fail(p->scan, "mandatory lists a parameter (key %u) that is not given",
                             key);
        size_t place = i;
        for (; place > 0 && load_be16(keys + 2 * (place - 1)) >= key; place--) {
            if (load_be16(keys + 2 * (place - 1)) == key)
                return scan_fail(p->scan, "mandatory lists a parameter (key %u) twice", key);
            memcpy(keys + 2 * place, keys + 2 * (place - 1), 2);
        }
        store_be16(keys + 2 * place, key);
    }
    return true;
}

static bool parameter_read(struct parameters *p, struct word word)
{
    const char *equals = memchr(word.text, '=', word.len);
    size_t key_len = equals ? (size_t)(equals - word.text) : word.len;
    struct word value = {word.text, 0};
    if (equals)
        value = (struct word){equals + 1, word.len - key_len - 1};
    int key = key_read((struct word){word.text, key_len});
    size_t at = p->values.at;
    if (key < 0)
        return scan_fail(p->scan,
                         "%s is no parameter that is known here: write it as key and its "
                         "number",
                         shown_of((struct word){word.text, key_len}).text);
    return value_write(p, key, value) && parameter_keep(p, (uint16_t)key, at);
}

bool scan_parameters(struct scan *s, bool alias)
{
    struct parameters p = {.scan = s};
    p.values = writer_over(p.octets, sizeof p.octets);
    for (struct word word = scan_word(s); word.len > 0; word = scan_word(s)) {
        if (alias)
            return scan_fail(s, "with priority 0 there are no parameters, as %s is",
                             shown_of(word).text);
        if (!parameter_read(&p, word))
            return false;
    }
    if (!mandatory_check(&p))
        return false;
    if (parameter_find(&p, KEY_NO_DEFAULT_ALPN) && !parameter_find(&p, KEY_ALPN))
        return scan_fail(s, "no-default-alpn needs alpn");
    if (p.values.failed)
        return scan_fail(s, "the parameters are longer than %d octets", TEXT_DATA_MAX);
    for (size_t i = 0; i < p.count; i++) {
        write_u16(&s->data, p.items[i].key);
        write_u16(&s->data, p.items[i].len);
        write_bytes(&s->data, p.octets + p.items[i].at, p.items[i].len);
    }
    return !s->failed;
}
