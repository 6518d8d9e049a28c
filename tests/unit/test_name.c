// SPDX-License-Identifier: MIT
#include "core/wire/message.h"
#include "core/wire/seen.h"

#include "tests/unit/packet.h"

#define L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "
#define L62 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij' "
#define T63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define T61 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"

struct read_row {
    const char *name;
    const char *message;
    size_t at;
    const char *read; // the name, NULL: it is none
    size_t after;     // where the reader stands then
};

// In front of each message stands a header in which names begin at 0, 3, 6, 9 and 11, so that it
// takes the rule to refuse them.
#define HEADER "'x' 00 'x' 00 'x' 00 'x' 00 "

// `a` is at 12, `b.a` at 15, and so on; what is read begins at `at`.
static const struct read_row read_rows[] = {
    {"read of the root", "00", 12, "00", 13},
    {"read of one label", "'www' 00", 12, "'www' 00", 17},
    {"read keeps case and every octet", "'WwW' 03 00ff2e 00", 12, "'WwW' 03 00ff2e 00", 21},
    {"read of a pointer", "'a' 00 c00c", 15, "'a' 00", 17},
    {"read of labels and a pointer", "'a' 00 'b' c00c ff", 15, "'b' 'a' 00", 19},
    {"read of a pointer to a pointer", "'a' 00 'b' c00c 'c' c00f", 19, "'c' 'b' 'a' 00", 23},
    {"read of a pointer to the middle of a name", "'a' 'b' 00 'c' c00e", 17, "'c' 'b' 00", 21},
    {"read of a pointer to the root", "00 'c' c00c", 13, "'c' 00", 17},
    {"read of a chain of four pointers", "'a' 00 c00c c00f c011 c013", 21, "'a' 00", 23},
    {"read of 255 octets", L63 L63 L63 L61 "00", 12, L63 L63 L63 L61 "00", 267},
    {"read of 255 octets through a pointer", L63 L61 "00 " L63 L63 "c00c", 139,
     L63 L63 L63 L61 "00", 269},
    {"read of 256 octets", L63 L63 L63 L62 "00", 12, NULL, 0},
    {"read of 256 octets through a pointer", L63 L62 "00 " L63 L63 "c00c", 140, NULL, 0},
    {"read of nothing", "", 12, NULL, 0},
    {"read behind a label that is cut", "'a' 05 6162", 12, NULL, 0},
    {"read without the root", "'www'", 12, NULL, 0},
    {"read of half a pointer", "'a' 00 c0", 15, NULL, 0},
    {"read of a pointer to itself", "'a' 00 c00f", 15, NULL, 0},
    {"read of a pointer to its own label", "'a' 00 'b' c00f", 15, NULL, 0},
    {"read of a pointer forward", "'a' 00 c011 'b' 00", 15, NULL, 0},
    {"read of a pointer behind the message", "'a' 00 ffff", 15, NULL, 0},
    {"read of pointers that go round", "c00e c00c", 14, NULL, 0},
    {"read of pointers that go round through labels", "'a' c010 'b' c00c", 16, NULL, 0},
    {"read of a pointer that goes down and up again", "'a' c013 00 'b' c00c 'c' c011", 21, NULL, 0},
    {"read of label type 01", "41 00", 12, NULL, 0},
    {"read of label type 10", "80 00", 12, NULL, 0},
    {"read of label type 10 behind a pointer", "80 00 c00c", 14, NULL, 0},
    {"read of a pointer to the start of the header", "'a' 00 c000", 15, NULL, 0},
    {"read of a pointer to the end of the header", "'a' 00 c00b", 15, NULL, 0},
    {"read of a pointer to a pointer into the header", "'a' c003 c00e", 16, NULL, 0},
};

static struct packet behind_header(const char *text)
{
    struct packet packet = packet_of(HEADER), rest = packet_of(text);
    memcpy(packet.bytes + packet.len, rest.bytes, rest.len);
    packet.len += rest.len;
    return packet;
}

static void test_read_row(void **state)
{
    const struct read_row *row = *state;
    struct packet packet = behind_header(row->message);
    uint8_t *bytes = exact_copy(packet.bytes, packet.len);
    struct reader r = reader_over(bytes, packet.len);
    struct name name;
    r.at = row->at;
    assert_int_equal(name_read(&r, &name), row->read != NULL);
    assert_int_equal(r.failed, row->read == NULL);
    if (row->read) {
        assert_packet(name.bytes, name.len, row->read);
        assert_int_equal(r.at, row->after);
    }
    free(bytes);
}

static void octets_likely(uint8_t *bytes, size_t len, uint64_t *seed)
{
    static const uint8_t likely[] = {0, 1, 2, 0xc0, 0xc0, 3, 63};
    for (size_t k = 0; k < len; k++) {
        uint64_t drawn = test_random(seed);
        bytes[k] = drawn & 1 ? likely[(drawn >> 8) % COUNT_OF(likely)]
                             : (uint8_t)((drawn >> 8) % (len + 4));
    }
}

// Any octets at all: no loop, no read out of bounds, and what is read is a name.
static void test_read_of_anything_ends(void **state)
{
    (void)state;
    uint64_t seed = 1;
    unsigned good = 0;
    for (unsigned i = 0; i < 100000; i++) {
        size_t len = MESSAGE_HEADER_LEN + 1 + test_random(&seed) % 40;
        uint8_t *bytes = malloc(len);
        assert_non_null(bytes);
        octets_likely(bytes, len, &seed);
        struct reader r = reader_over(bytes, len);
        struct name name;
        r.at = test_random(&seed) % len;
        if (name_read(&r, &name)) {
            good++;
            assert_int_equal(name_length(name.bytes, name.len), name.len);
            assert_in_range(r.at, 1, len);
        } else {
            assert_true(r.failed);
        }
        free(bytes);
    }
    assert_in_range(good, 10000, 90000);
}

// Whatever was read before of the same message, what is known of it changes no verdict.
static void test_seen_names_are_those_that_are_read(void **state)
{
    (void)state;
    struct suffix_seed key = suffix_seed_of(3);
    struct seen_names *seen = malloc(sizeof *seen);
    assert_non_null(seen);
    uint64_t seed = 2;
    unsigned good = 0, tried = 0;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = MESSAGE_HEADER_LEN + 1 + test_random(&seed) % 60;
        uint8_t bytes[MESSAGE_HEADER_LEN + 60];
        octets_likely(bytes, len, &seed);
        seen_begin(seen, key, len);
        for (size_t left = len; left > 0; left--, tried++) {
            struct reader plain = reader_over(bytes, len), r = plain;
            struct name name;
            struct seen_name known;
            plain.at = r.at = MESSAGE_HEADER_LEN + test_random(&seed) % (len - MESSAGE_HEADER_LEN);
            bool is_name = name_read(&plain, &name);
            assert_int_equal(seen_read(seen, &r, &known), is_name);
            assert_int_equal(r.failed, plain.failed);
            if (!is_name)
                continue;
            good++;
            name_lower(name.bytes, name.bytes, name.len);
            assert_int_equal(r.at, plain.at);
            assert_int_equal(known.len, name.len);
            assert_true(known.hash == suffix_hash(key, name.bytes));
        }
    }
    assert_in_range(good, tried / 10, tried / 10 * 9);
    free(seen);
}

static const struct {
    const char *octets;
    size_t length;
} lengths[] = {
    {"00", 1},
    {"00 00", 1},
    {"'www' 00 ff", 5},
    {"'a' 'b' 'c' 00", 7},
    {L63 L63 L63 L61 "00 00", 255},
    {L63 L63 L63 L62 "00 00", 0},
    {L63 L63 L63 L63 "00 00", 0},
    {"", 0},
    {"'www'", 0},
    {"03 7777", 0},
    {"c000 00", 0},
    {"'a' c000", 0},
    {"40 00", 0},
    {"80 00", 0},
};

static void test_length_of_an_uncompressed_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct packet packet = packet_of(lengths[i].octets);
        uint8_t *bytes = exact_copy(packet.bytes, packet.len);
        if (name_length(bytes, packet.len) != lengths[i].length)
            fail_msg("%s: %zu", lengths[i].octets, name_length(bytes, packet.len));
        for (size_t len = 0; len < lengths[i].length; len++)
            assert_int_equal(name_length(bytes, len), 0);
        free(bytes);
    }
}

static uint8_t lowered(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static void test_lower_changes_letters_alone_at_every_place(void **state)
{
    (void)state;
    uint64_t seed = 2;
    // Every octet among every other kind of neighbour, in every place of a word.
    for (unsigned octet = 0; octet < 256; octet++) {
        for (size_t len = 1; len <= 24; len++) {
            uint8_t from[24], *to = malloc(len);
            assert_non_null(to);
            for (size_t i = 0; i < len; i++)
                from[i] = (uint8_t)test_random(&seed);
            from[octet % len] = (uint8_t)octet;
            name_lower(to, from, len);
            for (size_t i = 0; i < len; i++)
                assert_int_equal(to[i], lowered(from[i]));
            free(to);
        }
    }
    uint8_t all[256];
    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    name_lower(all, all, sizeof all); // in place
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(all[i], lowered((uint8_t)i));
}

static struct name parsed(const char *text)
{
    struct name name;
    if (!name_parse(&name, text, strlen(text)))
        fail_msg("%s is no name", text);
    return name;
}

static const struct {
    const char *a, *b;
    bool equal;
    bool within; // a within b
    bool one_hash;
} pairs[] = {
    {".", ".", true, true, true},
    {"com", ".", false, true, false},
    {".", "com", false, false, false},
    {"example.com", "EXAMPLE.Com", true, true, true},
    {"www.example.com", "Example.COM", false, true, false},
    {"example.com", "www.example.com", false, false, false},
    {"xexample.com", "example.com", false, false, false},
    {"example.com", "example.org", false, false, false},
    {"com.example", "com", false, false, false},
    {"a\\.b.c", "b.c", false, false, false},
    {"a\\.b.c", "c", false, true, false},
    {"a.b.c", "a\\.b.c", false, false, false},
    {"[", "{", false, false, true}, // differ in the bit of case, but are no letters
    {"\\193", "\\225", false, false, true},
    {"@", "`", false, false, true},
    {"\\003abc.com", "abc.com", false, false, false}, // a label that looks like another's length
};

static void test_equal_and_within(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct name a = parsed(pairs[i].a), b = parsed(pairs[i].b);
        if (name_equal(&a, &b) != pairs[i].equal || name_equal(&b, &a) != pairs[i].equal)
            fail_msg("name_equal: %s and %s", pairs[i].a, pairs[i].b);
        if (name_within(&a, &b) != pairs[i].within)
            fail_msg("name_within: %s and %s", pairs[i].a, pairs[i].b);
        if ((name_hash(a.bytes, a.len) == name_hash(b.bytes, b.len)) != pairs[i].one_hash)
            fail_msg("name_hash: %s and %s", pairs[i].a, pairs[i].b);
    }
}

static void test_labels_are_counted_without_the_root(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t labels;
    } rows[] = {{".", 0}, {"com", 1}, {"example.com.", 2}, {"a\\.b.com", 2}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct name name = parsed(rows[i].text);
        assert_int_equal(name_labels(&name), rows[i].labels);
    }
    char text[256] = "";
    for (unsigned i = 0; i < 127; i++)
        strcat(text, "a.");
    struct name name = parsed(text);
    assert_int_equal(name_labels(&name), 127);
    assert_int_equal(name.len, 255);
}

struct text_row {
    const char *name; // the text
    const char *wire; // NULL: no name
    const char *text; // as it is written, NULL: as it was read, with a final dot
};

static const struct text_row text_rows[] = {
    {".", "00", "."},
    {"com", "'com' 00", NULL},
    {"com.", "'com' 00", "com."},
    {"Example.COM", "'Example' 'COM' 00", NULL},
    {"_dns.resolver-1.arpa", "'_dns' 'resolver-1' 'arpa' 00", NULL},
    {"*.example", "'*' 'example' 00", NULL},
    {"a\\.b.c", "'a.b' 'c' 00", "a\\046b.c."},
    {"a\\\\b", "'a\\b' 00", "a\\092b."},
    {"a\\046b", "'a.b' 00", "a\\046b."},
    {"\\000\\255", "02 00ff 00", "\\000\\255."},
    {"\\065\\x", "'Ax' 00", "Ax."},
    {"a b", "'a b' 00", "a\\032b."},
    {"a;b\"c(d)e@f$", "'a;b\"c(d)e@f$' 00", "a\\059b\\034c\\040d\\041e\\064f\\036."},
    {T63, L63 "00", NULL},
    {T63 "." T63 "." T63 "." T61, L63 L63 L63 L61 "00", NULL},
    {T63 "." T63 "." T63 "." T61 ".", L63 L63 L63 L61 "00", T63 "." T63 "." T63 "." T61 "."},
    {"", NULL, NULL},
    {"..", NULL, NULL},
    {".com", NULL, NULL},
    {"a..b", NULL, NULL},
    {"a..", NULL, NULL},
    {"\\", NULL, NULL},
    {"a\\", NULL, NULL},
    {"\\1", NULL, NULL},
    {"\\12", NULL, NULL},
    {"\\12x", NULL, NULL},
    {"\\256", NULL, NULL},
    {"\\999", NULL, NULL},
    {T63 "x", NULL, NULL},
    {T63 "x.com", NULL, NULL},
    {T63 "." T63 "." T63 "." T61 "x", NULL, NULL},
    {T63 "." T63 "." T63 "." T61 ".x", NULL, NULL},
    {T63 "." T63 "." T63 "." T63, NULL, NULL},
};

static void test_text_row(void **state)
{
    const struct text_row *row = *state;
    uint8_t *text = exact_copy((const uint8_t *)row->name, strlen(row->name));
    struct name name;
    bool good = name_parse(&name, (const char *)text, strlen(row->name));
    free(text);
    assert_int_equal(good, row->wire != NULL);
    if (!good)
        return;
    assert_packet(name.bytes, name.len, row->wire);
    char written[NAME_TEXT_SIZE], wanted[NAME_TEXT_SIZE];
    snprintf(wanted, sizeof wanted, row->text ? "%s" : "%s.", row->text ? row->text : row->name);
    assert_int_equal(name_format(&name, written), strlen(wanted));
    assert_string_equal(written, wanted);
}

static void test_text_of_any_name_reads_back_as_it(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (unsigned i = 0; i < 20000; i++) {
        struct name name = {0}, again;
        while (name.len < 250 && test_random(&seed) % 6) {
            uint8_t len = (uint8_t)(1 + test_random(&seed) % (253u - name.len));
            len = len > 63 ? 63 : len;
            name.bytes[name.len++] = len;
            while (len-- > 0)
                name.bytes[name.len++] = (uint8_t)test_random(&seed);
        }
        name.bytes[name.len++] = 0;
        char text[NAME_TEXT_SIZE];
        size_t len = name_format(&name, text);
        assert_in_range(len, 1, NAME_TEXT_SIZE - 1);
        assert_int_equal(len, strlen(text));
        assert_true(name_parse(&again, text, len));
        assert_int_equal(again.len, name.len);
        assert_memory_equal(again.bytes, name.bytes, name.len);
    }
}

// All octets escaped: the longest text there is.
static void test_longest_text_fits(void **state)
{
    (void)state;
    struct packet packet = packet_of(L63 L63 L63 L61 "00");
    struct name name = {.len = 255};
    memcpy(name.bytes, packet.bytes, 255);
    for (unsigned i = 0; i < 254; i++) {
        if (i % 64)
            name.bytes[i] = 0xff;
    }
    char text[NAME_TEXT_SIZE];
    assert_int_equal(name_format(&name, text), 250 * 4 + 4);
}

static void test_spelling_is_read_and_restored(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[255], lower[255];
        size_t len = 1 + test_random(&seed) % 255;
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)test_random(&seed);
        struct name_case name_case;
        memset(&name_case, 0xff, sizeof name_case);
        name_case_read(&name_case, bytes, len);
        name_lower(lower, bytes, len);
        name_case_apply(&name_case, lower, len);
        assert_memory_equal(lower, bytes, len);
    }
}

// A name of one label that has no letter but 'a', wherever it ends in a word.
static struct name row_of_a(unsigned count)
{
    struct name name = {.len = (uint8_t)(count + 2), .bytes = {(uint8_t)count}};
    memset(name.bytes + 1, 'a', count);
    return name;
}

static void test_each_octet_counts_in_names_of_any_length(void **state)
{
    (void)state;
    for (unsigned len = 1; len <= LABEL_MAX_LEN; len++) {
        struct name a = row_of_a(len);
        for (unsigned place = 1; place <= len; place++) {
            struct name b = a;
            b.bytes[place] = 'A';
            assert_true(name_equal(&a, &b) && name_within(&b, &a));
            assert_int_equal(name_hash(a.bytes, a.len), name_hash(b.bytes, b.len));
            b.bytes[place] = 'b';
            assert_false(name_equal(&a, &b) || name_within(&b, &a));
            assert_int_not_equal(name_hash(a.bytes, a.len), name_hash(b.bytes, b.len));
        }
    }
}

// Parts of words are written and read where they stand and nowhere else.
static void test_parts_of_words(void **state)
{
    (void)state;
    const uint64_t word = 0x8877665544332211u;
    for (size_t count = 0; count <= sizeof word; count++) {
        uint8_t octets[10];
        memset(octets, 0xee, sizeof octets);
        store_part(octets + 1, word, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(octets[1 + i], 0x11 * (i + 1));
        assert_int_equal(octets[0], 0xee);
        assert_int_equal(octets[1 + count], 0xee);
        uint64_t wanted = count == 0 ? 0 : word & ~(uint64_t)0 >> (64 - 8 * count);
        assert_true(load_part(octets + 1, count) == wanted);
    }
}

// Random bits, as for 0x20: letters may change, nothing else does.
static void test_random_case_changes_only_letters(void **state)
{
    (void)state;
    struct name_case name_case;
    uint8_t bytes[255];
    memset(&name_case, 0xff, sizeof name_case);
    for (unsigned i = 0; i < 255; i++)
        bytes[i] = (uint8_t)i;
    name_lower(bytes, bytes, sizeof bytes);
    name_case_apply(&name_case, bytes, sizeof bytes);
    for (unsigned i = 0; i < 255; i++) {
        bool letter = (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z');
        assert_int_equal(bytes[i], letter ? i & 0xdf : i);
    }
}

// The longest chain that fits: a name, and behind it pointers, each to the one before. Returns
// where the last one stands.
static size_t chain_fill(uint8_t *bytes)
{
    size_t to = MESSAGE_HEADER_LEN, at = to + 3;
    memset(bytes, 0, to);
    memcpy(bytes + to, "\1a", 3);
    for (; at < 0x3ffe; to = at, at += 2)
        store_be16(bytes + at, (uint16_t)(0xc000 | to));
    return at - 2;
}

// Names that all lead over the same long chain: each is a name, but all together may not cost more
// than the message has octets.
static void test_pointers_of_a_message_are_bounded(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(MESSAGE_LEN_MAX);
    assert_non_null(bytes);
    size_t last = chain_fill(bytes), start = last + 2, names = 0;
    for (size_t at = start; at + 2 <= MESSAGE_LEN_MAX; at += 2)
        store_be16(bytes + at, (uint16_t)(0xc000 | last));
    struct reader r = reader_over(bytes, MESSAGE_LEN_MAX);
    struct name name;
    r.at = start;
    while (name_read(&r, &name)) {
        assert_packet(name.bytes, name.len, "'a' 00");
        names++;
    }
    assert_int_equal(names, MESSAGE_LEN_MAX / ((0x4000 - MESSAGE_HEADER_LEN) / 2 - 2));
    assert_true(r.failed && r.hops_left == 0);
    // What is only stepped over costs no more than it is long.
    r = reader_over(bytes, MESSAGE_LEN_MAX);
    for (r.at = start; r.at + 2 <= r.len;)
        assert_true(name_skip(&r));
    assert_int_equal(r.hops_left, MESSAGE_LEN_MAX);
    free(bytes);
}

static void test_skip_looks_at_what_it_steps_over(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        size_t at, after; // 0: malformed
    } rows[] = {
        {"'a' 00", 12, 15},
        {"'a' 00 'b' c00c", 15, 19},
        {"'a' 00 c00c c00f", 17, 19},
        {"'a' 00 c00f", 15, 0},
        {"'a' 00 'b' c00f", 15, 0},
        {"'a' 00 c011", 15, 0},
        {"'a' 00 c0", 15, 0},
        {"'a'", 12, 0},
        {"", 12, 0},
        {"40 61 00", 12, 0},
        {"80 61 00", 12, 0},
        {"03 6161", 12, 0},
        {"'a' 00 ffff 00", 15, 0},
        {"'a' 00 c000", 15, 0},
        {"'a' 00 c00b", 15, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct packet packet = behind_header(rows[i].message);
        uint8_t *bytes = exact_copy(packet.bytes, packet.len);
        struct reader r = reader_over(bytes, packet.len);
        r.at = rows[i].at;
        bool good = name_skip(&r);
        if (good != (rows[i].after != 0) || r.failed == good || (good && r.at != rows[i].after))
            fail_msg("skip of %s at %zu", rows[i].message, rows[i].at);
        free(bytes);
    }
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_pointers_of_a_message_are_bounded),
    cmocka_unit_test(test_skip_looks_at_what_it_steps_over),
    cmocka_unit_test(test_read_of_anything_ends),
    cmocka_unit_test(test_seen_names_are_those_that_are_read),
    cmocka_unit_test(test_length_of_an_uncompressed_name),
    cmocka_unit_test(test_lower_changes_letters_alone_at_every_place),
    cmocka_unit_test(test_equal_and_within),
    cmocka_unit_test(test_each_octet_counts_in_names_of_any_length),
    cmocka_unit_test(test_parts_of_words),
    cmocka_unit_test(test_labels_are_counted_without_the_root),
    cmocka_unit_test(test_text_of_any_name_reads_back_as_it),
    cmocka_unit_test(test_longest_text_fits),
    cmocka_unit_test(test_spelling_is_read_and_restored),
    cmocka_unit_test(test_random_case_changes_only_letters),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(read_rows) + COUNT_OF(text_rows) + COUNT_OF(others)];
    char texts[COUNT_OF(text_rows)][24];
    size_t count = 0;
    count += ROWS(test_read_row, read_rows);
    count += ROWS(test_text_row, text_rows);
    // A text may be anything, which a name of a test may not.
    for (size_t i = 0; i < COUNT_OF(text_rows); i++) {
        snprintf(texts[i], sizeof texts[i], "text %zu", i);
        tests[COUNT_OF(read_rows) + i].name = texts[i];
    }
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
