// SPDX-License-Identifier: MIT
#include "core/wire/key.h"

#include "tests/unit/packet.h"

#define SEED 7
#define ONE  "0001 0000 0000 0000 "
#define OPT1 "0001 0000 0000 0001 "
#define NAME "'www' 'example' 00 "
#define DO   "00 0029 04d0 00 00 8000 0000 "
#define LOW  "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61  "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "
#define HIGH "'ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJK' "

static struct key key_of(const char *query_text)
{
    struct packet packet = packet_of(query_text);
    struct query query;
    struct key key;
    memset(&key, 0xa5, sizeof key); // what is not filled in shows
    assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_GOOD);
    key_make(&key, &query, SEED);
    return key;
}

static struct key denial_of(const struct key *key)
{
    struct key denial;
    memset(&denial, 0x5a, sizeof denial);
    key_make_denial(&denial, key);
    return denial;
}

static bool same(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

struct row {
    const char *name;
    const char *query;
    const char *key; // type, class, flags, name
    const char *denial;
};

static const struct row rows[] = {
    {"A", "1234 0100 " ONE NAME "0001 0001", "0001 0001 00 " NAME, "0000 0001 00 " NAME},
    {"another type", "1234 0100 " ONE NAME "001c 0001", "001c 0001 00 " NAME, "0000 0001 00 " NAME},
    {"a type of two octets", "1234 0100 " ONE NAME "ff00 0001", "ff00 0001 00 " NAME,
     "0000 0001 00 " NAME},
    {"the greatest type", "1234 0100 " ONE NAME "ffff 0001", "ffff 0001 00 " NAME,
     "0000 0001 00 " NAME},
    {"upper case", "1234 0100 " ONE "'wWw' 'EXAMPLE' 00 0001 0001", "0001 0001 00 " NAME,
     "0000 0001 00 " NAME},
    {"DO", "1234 0100 " OPT1 NAME "0001 0001" DO, "0001 0001 01 " NAME, "0000 0001 01 " NAME},
    {"CD", "1234 0110 " ONE NAME "0001 0001", "0001 0001 02 " NAME, "0000 0001 02 " NAME},
    {"DO and CD", "1234 0110 " OPT1 NAME "0001 0001" DO, "0001 0001 03 " NAME,
     "0000 0001 03 " NAME},
    {"the root", "1234 0100 " ONE "00 0001 0001", "0001 0001 00 00", "0000 0001 00 00"},
    {"255 octets", "1234 0100 " ONE HIGH HIGH HIGH L61 "00 0001 0001",
     "0001 0001 00 " LOW LOW LOW L61 "00", "0000 0001 00 " LOW LOW LOW L61 "00"},
};

static void test_key_row(void **state)
{
    const struct row *row = *state;
    struct key key = key_of(row->query), denial = denial_of(&key), again = denial_of(&denial);
    assert_packet(key.bytes, key.len, row->key);
    assert_packet(denial.bytes, denial.len, row->denial);
    // As code that has only the octets would hash them: a snapshot's reader.
    assert_true(key.hash == key_hash(key.bytes, key.len, SEED));
    assert_true(denial.hash == key_hash(denial.bytes, denial.len, SEED));
    // Elsewhere than the question's own answer, and in the same shard.
    assert_true(denial.hash != key.hash);
    assert_true(denial.hash >> 32 == key.hash >> 32);
    assert_true(same(&denial, &again));
}

// Types share a denial; names, DO and CD do not.
static void test_denial_is_the_names(void **state)
{
    (void)state;
    static const char *const equal[] = {"1234 0100 " ONE NAME "0001 0001",
                                        "4321 0000 " ONE "'WWW' 'example' 00 001c 0001",
                                        "4321 0000 " ONE NAME "00ff 0001"};
    static const char *const other[] = {
        "1234 0100 " OPT1 NAME "0001 0001" DO,
        "1234 0110 " ONE NAME "0001 0001",
        "1234 0110 " OPT1 NAME "0001 0001" DO,
        "1234 0100 " ONE "'wwv' 'example' 00 0001 0001",
        "1234 0100 " ONE "'example' 00 0001 0001",
        "1234 0100 " ONE "'a' 'www' 'example' 00 0001 0001",
    };
    struct key first = key_of(equal[0]), denial = denial_of(&first);
    for (size_t i = 0; i < COUNT_OF(equal); i++) {
        struct key key = key_of(equal[i]), its = denial_of(&key);
        assert_true(same(&its, &denial));
    }
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        struct key key = key_of(other[i]), its = denial_of(&key);
        assert_false(same(&its, &denial));
        assert_true(its.hash != denial.hash);
    }
}

static void test_flush_finds_the_denial_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is;
        bool within;
    } names[] = {
        {"www.example", true, true}, {"WWW.Example", true, true},  {"example", false, true},
        {".", false, true},          {"ww.example", false, false}, {"a.www.example", false, false},
    };
    struct key key = key_of("1234 0100 " ONE NAME "0001 0001"), denial = denial_of(&key);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct name name;
        assert_true(name_parse(&name, names[i].name, strlen(names[i].name)));
        assert_int_equal(key_is_name(&name, denial.bytes, denial.len), names[i].is);
        assert_int_equal(key_is_within(&name, denial.bytes, denial.len), names[i].within);
    }
}

// Type 0 is no question, so no answer of a client's choosing can come to lie there.
static void test_no_query_can_ask_for_the_denial(void **state)
{
    (void)state;
    struct packet packet = packet_of("1234 0100 " ONE NAME "0000 0001");
    struct query query;
    assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_ERROR);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_denial_is_the_names),
    cmocka_unit_test(test_flush_finds_the_denial_by_its_name),
    cmocka_unit_test(test_no_query_can_ask_for_the_denial),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_key_row, rows, sizeof *rows, COUNT_OF(rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
