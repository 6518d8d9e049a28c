// SPDX-License-Identifier: MIT
#include "core/policy/block.h"

#include "tests/unit/packet.h"

static const struct suffix_seed seed = {0x0123456789abcdef, 0xfedcba9876543211};

static uint64_t entry_of(const char *text, size_t len, bool allow)
{
    struct name name;
    assert_true(name_parse(&name, text, len));
    name_lower(name.bytes, name.bytes, name.len);
    return block_entry(seed, name.bytes, allow);
}

static const struct row {
    const char *name;  // the line
    const char *takes; // names with spaces between; @ in front of an exception
    enum block_line verdict;
    bool allow;
    const char *why;
} rows[] = {
    {"ads.example", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"  Ads.EXAMPLE.\t\r", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"ads.example # why", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"ads.example#why", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"*.ads.example", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {".ads.example", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"_x.a-b.example", "_x.a-b.example", BLOCK_LINE_TAKEN, false, NULL},
    {"zip", "zip", BLOCK_LINE_TAKEN, false, NULL},
    {"\xef\xbb\xbf"
     "ads.example",
     "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"0.0.0.0 ads.example", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"127.0.0.1\tads.example  t.example # x", "ads.example t.example", BLOCK_LINE_TAKEN, false,
     NULL},
    {"::1 ads.example", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"127.0.0.1 localhost", "", BLOCK_LINE_EMPTY, false, NULL},
    {"0.0.0.0 0.0.0.0", "", BLOCK_LINE_EMPTY, false, NULL},
    {"||ads.example^", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"||ads.example^|", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"||ads.example^$important", "ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"@@||ads.example^", "@ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"@@||ads.example^|", "@ads.example", BLOCK_LINE_TAKEN, false, NULL},
    {"ads.example", "@ads.example", BLOCK_LINE_TAKEN, true, NULL},
    {"0.0.0.0 ads.example", "@ads.example", BLOCK_LINE_TAKEN, true, NULL},
    {"||ads.example^", "@ads.example", BLOCK_LINE_TAKEN, true, NULL},
    {"@@||ads.example^", "@ads.example", BLOCK_LINE_TAKEN, true, NULL},
    {"", "", BLOCK_LINE_EMPTY, false, NULL},
    {" \t\r", "", BLOCK_LINE_EMPTY, false, NULL},
    {"# ads.example", "", BLOCK_LINE_EMPTY, false, NULL},
    {"! ads.example", "", BLOCK_LINE_EMPTY, false, NULL},
    {"[Adblock Plus 2.0]", "", BLOCK_LINE_EMPTY, false, NULL},
    {"||ads.example^$third-party", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||ads.example^$important,third-party", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||ads.example^path", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||ads.example/path^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||ads.exam", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||*.example^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"||192.0.2.1^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"|https://ads.example^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"@@|https://ads.example^", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"/banner/*", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"example.com##.ad", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"example.com#@#.ad", "", BLOCK_LINE_SKIPPED, false, NULL},
    {"192.0.2.1", "", BLOCK_LINE_BAD, false, "an address without a name"},
    {"::", "", BLOCK_LINE_BAD, false, "an address without a name"},
    {"ads.example x.example", "", BLOCK_LINE_BAD, false, "more than a name"},
    {"http://ads.example/", "", BLOCK_LINE_BAD, false, "not a domain name"},
    {"a..b", "", BLOCK_LINE_BAD, false, "not a domain name"},
    {"\xc3\xa4.example", "", BLOCK_LINE_BAD, false, "not a domain name"},
    {"0.0.0.0 a.example b/c d.example", "a.example", BLOCK_LINE_BAD, false, "not a domain name"},
    {".", "", BLOCK_LINE_BAD, false, "the root stands for all names"},
    {"*.", "", BLOCK_LINE_BAD, false, "not a domain name"},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    static struct block_names names;
    size_t len = strlen(row->name), count = 0, word_len;
    uint8_t *line = exact_copy((const uint8_t *)row->name, len);
    enum block_line verdict = block_line_read((const char *)line, len, row->allow, seed, &names);
    free(line);
    assert_int_equal(verdict, row->verdict);
    for (const char *at = row->takes; *at != '\0'; at += word_len) {
        at += *at == ' ';
        bool allow = *at == '@';
        at += allow;
        word_len = strcspn(at, " ");
        assert_in_range(count, 0, names.count ? names.count - 1 : 0);
        assert_true(names.entries[count++] == entry_of(at, word_len, allow));
    }
    assert_int_equal(names.count, count);
    if (row->why)
        assert_string_equal(names.why, row->why);
    else
        assert_null(names.why);
}

static void test_long_line_is_bad(void **state)
{
    (void)state;
    static struct block_names names;
    static char line[BLOCK_LINE_MAX + 1];
    memset(line, ' ', sizeof line);
    memcpy(line, "0.0.0.0", 7);
    for (size_t i = 8; i < sizeof line; i += 2)
        line[i] = 'a';
    assert_int_equal(block_line_read(line, BLOCK_LINE_MAX, false, seed, &names), BLOCK_LINE_TAKEN);
    assert_int_equal(names.count, (BLOCK_LINE_MAX - 8) / 2);
    assert_int_equal(block_line_read(line, sizeof line, false, seed, &names), BLOCK_LINE_BAD);
    assert_string_equal(names.why, "the line is too long");
}

static void test_suffix_hash_is_the_same_by_both_ways(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (unsigned round = 0; round < 2000; round++) {
        // The octets behind the name must not matter, even where they are read.
        uint8_t bytes[NAME_MAX_LEN + 8];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)test_random(&random);
        size_t at = 0;
        uint8_t places[SUFFIX_LABELS_MAX];
        size_t count = 0;
        while (at < 190 && count < 1 + round % 20) {
            places[count++] = (uint8_t)at;
            bytes[at] = (uint8_t)(1 + test_random(&random) % 63);
            at += 1u + bytes[at];
        }
        bytes[at] = 0;
        uint64_t hash = seed.start;
        for (size_t i = count; i-- > 0;) {
            hash = suffix_step(seed, hash, bytes + places[i], true);
            assert_true(hash == suffix_hash(seed, bytes + places[i]));
        }
    }
}

// A set at the edge: so many entries that it is as full as it gets, all in few buckets.
static void test_full_buckets_overflow_into_the_next(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    uint64_t buckets = block_buckets(COUNT);
    uint64_t *set = calloc(buckets * BLOCK_BUCKET, sizeof *set);
    assert_non_null(set);
    for (uint64_t i = 0; i < COUNT; i++) // all belong to the last bucket and go round to the first
        assert_true(block_add(set, buckets, UINT64_MAX - 1 - 2 * i));
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_false(block_add(set, buckets, UINT64_MAX - 1 - 2 * i));
        assert_int_equal(block_find(set, buckets, UINT64_MAX - 2 * i), BLOCK_LISTED);
    }
    assert_int_equal(block_find(set, buckets, UINT64_MAX - 1 - 2 * COUNT), BLOCK_ABSENT);
    assert_int_equal(block_find(set, buckets, 0), BLOCK_ABSENT);
    assert_false(block_add(set, buckets, UINT64_MAX));
    assert_int_equal(block_find(set, buckets, UINT64_MAX), BLOCK_EXCEPTED);
    assert_false(block_add(set, buckets, UINT64_MAX - 1));
    assert_int_equal(block_find(set, buckets, UINT64_MAX), BLOCK_EXCEPTED);
    free(set);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + 3] = {
        cmocka_unit_test(test_long_line_is_bad),
        cmocka_unit_test(test_suffix_hash_is_the_same_by_both_ways),
        cmocka_unit_test(test_full_buckets_overflow_into_the_next),
    };
    size_t count = 3 + tests_of_rows(tests + 3, test_row, rows, sizeof *rows, COUNT_OF(rows));
    return _cmocka_run_group_tests("block", tests, count, NULL, NULL);
}
