// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/wire/key.h"
#include "core/wire/key_hash.h"

#include "tests/unit/packet.h"

// SipHash as its paper describes it, word by word with every octet put in its place by itself, so
// that what key.c does at the ends of names can be held against it.
static uint64_t siphash_plain(uint64_t key0, uint64_t key1, const uint8_t *octets, size_t len)
{
    struct siphash hash = siphash_begin(key0, key1);
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)octets[i] << 8 * (i % 8);
        if (i % 8 == 7) {
            siphash_word(&hash, word);
            word = 0;
        }
    }
    return siphash_end(&hash, word, len);
}

// What CPython 3.11 says of these octets, each of which is 7 times its place and the length. Its
// keys are of PYTHONHASHSEED 0 and 20261125.
static void test_siphash_is_that_of_others(void **state)
{
    (void)state;
    static const struct {
        uint64_t key0, key1;
        size_t len;
        uint64_t hash;
    } rows[] = {
        {0, 0, 1, 0x44bc103b1f8540edu},
        {0, 0, 7, 0x9fff4ac9ef420232u},
        {0, 0, 8, 0xcaf590d4e8867659u},
        {0, 0, 9, 0xdbc958e03a783083u},
        {0, 0, 12, 0xedf2e77f22f2c675u},
        {0, 0, 15, 0xade679b8aedd64c4u},
        {0, 0, 16, 0xd16eb79de4d128d0u},
        {0, 0, 30, 0xc54b123ab369cf55u},
        {0, 0, 63, 0x1bc1438de96eb7e0u},
        {0, 0, 255, 0x3663ed077046f580u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 1, 0x2c60c115dfb3e517u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 7, 0xab10211c24198602u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 8, 0xf3b5526833215813u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 9, 0xb894a463f3476687u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 12, 0xd9e9a6bfd40290d9u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 15, 0x22f6c10d965d856bu},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 16, 0x11b3249f862e6fbbu},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 30, 0x978e561118e2f49cu},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 63, 0x6c210e7f82af80b5u},
        {0x012ea04a234f9c7bu, 0x022cb0156fdbb685u, 255, 0xb9c5e655e58746cdu},
    };
    uint8_t octets[255];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t at = 0; at < rows[i].len; at++)
            octets[at] = (uint8_t)(at * 7 + rows[i].len);
        assert_true(siphash_plain(rows[i].key0, rows[i].key1, octets, rows[i].len) == rows[i].hash);
    }
}

// Names of every length, at every alignment, in memory of the exact size.
static void test_hash_of_every_length(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (size_t name_len = 0; name_len <= NAME_MAX_LEN; name_len++) {
        size_t skip = name_len % 8, len = KEY_HEAD_LEN + name_len;
        uint8_t *room = malloc(skip + len), *bytes = room + skip;
        assert_non_null(room);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)test_random(&random);
        uint64_t seed = test_random(&random), head = (uint64_t)load_be32(bytes) << 8 | bytes[4];
        uint64_t name =
            siphash_plain(seed, seed * 0x9e3779b97f4a7c15u, bytes + KEY_HEAD_LEN, name_len);
        assert_true(key_hash(bytes, len, seed) == (name ^ key_hash_head(head)));
        free(room);
    }
}

static struct key key_of(const char *text, uint16_t type, bool checking_disabled, bool dnssec_ok,
                         uint64_t seed)
{
    struct name name;
    struct query query;
    struct key key;
    uint8_t bytes[MESSAGE_UDP_MIN];
    assert_true(name_parse(&name, text, strlen(text)));
    struct upstream_query asked = {
        .name = name.bytes,
        .name_len = name.len,
        .id = 1,
        .type = type,
        .class = CLASS_IN,
        .udp_size = UPSTREAM_UDP_SIZE,
        .checking_disabled = checking_disabled,
        .dnssec_ok = dnssec_ok,
    };
    size_t len = upstream_query_write(bytes, &asked);
    assert_int_equal(query_read(&query, bytes, len), QUERY_GOOD);
    key_make(&key, &query, seed);
    assert_true(key.hash == key_hash(key.bytes, key.len, seed));
    return key;
}

// A name is taken in whole blocks where something stands behind it, and then that must not count.
static void test_what_is_behind_a_name_does_not_count(void **state)
{
    (void)state;
    uint8_t bytes[UPSTREAM_QUERY_MAX];
    for (unsigned len = 1; len <= NAME_MAX_LEN; len++) {
        struct name name = {.len = (uint8_t)len};
        // Labels of one octet, and one of two where the length is even.
        for (unsigned at = 0; at + 1 < len;) {
            name.bytes[at] = at == 0 && len % 2 == 0 ? 2 : 1;
            memset(name.bytes + at + 1, at % 3 ? 'Z' : '[', name.bytes[at]);
            at += 1u + name.bytes[at];
        }
        if (len == 2)
            continue; // there is no such name
        struct upstream_query asked = {
            .name = name.bytes, .name_len = name.len, .type = TYPE_A, .class = CLASS_IN};
        struct key wanted;
        key_of_name(&wanted, &name, TYPE_A, 42);
        assert_true(wanted.hash == key_hash(wanted.bytes, wanted.len, 42));
        for (unsigned edns = 0; edns < 2; edns++) {
            asked.udp_size = edns ? UPSTREAM_UDP_SIZE : 0;
            size_t size = upstream_query_write(bytes, &asked);
            uint8_t *exact = malloc(size);
            struct query query;
            struct key key;
            assert_non_null(exact);
            memcpy(exact, bytes, size);
            memset(&key, 0xee, sizeof key);
            assert_int_equal(query_read(&query, exact, size), QUERY_GOOD);
            assert_int_equal(query.edns, edns);
            key_make(&key, &query, 42);
            assert_true(key_equal(&key, &wanted));
            free(exact);
        }
    }
}

// All cached answers of a name have one home, so type, class and flags change only the lower half.
static void test_upper_half_is_the_names(void **state)
{
    (void)state;
    static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_MX, TYPE_TXT, TYPE_SOA, 65535};
    static const char *const names[] = {".", "example", "www.example.org",
                                        "a.rather.long.name.that.takes.some.words.example"};
    for (size_t n = 0; n < COUNT_OF(names); n++) {
        uint32_t lows[COUNT_OF(types) * 4];
        size_t count = 0;
        struct key first = key_of(names[n], TYPE_A, false, false, 7);
        for (size_t i = 0; i < COUNT_OF(types) * 4; i++) {
            struct key key = key_of(names[n], types[i / 4], i & 1, i & 2, 7);
            assert_int_equal(key.hash >> 32, first.hash >> 32);
            for (size_t other = 0; other < count; other++)
                assert_int_not_equal(lows[other], (uint32_t)key.hash);
            lows[count++] = (uint32_t)key.hash;
        }
    }
}

// Two names that have the same XXH64 under every seed (docs/decisions/0003-the-hash-of-a-key.md).
static void test_names_made_to_collide_do_not(void **state)
{
    (void)state;
    struct packet one =
        packet_of("0001 0001 00 'example' 62303967 6c736876 7a633470 7a306c78 'org' 00");
    struct packet other =
        packet_of("0001 0001 00 'example' 822338cf 6ebef096 7a633470 297cf98e 'org' 00");
    one.bytes[5] = other.bytes[5] = 23; // all but the last label is one
    uint64_t random = 1;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t seed = test_random(&random);
        uint64_t hash = key_hash(one.bytes, one.len, seed);
        assert_true(hash >> 32 != key_hash(other.bytes, other.len, seed) >> 32);
        assert_int_equal(XXH64(one.bytes + 5, one.len - 5, seed),
                         XXH64(other.bytes + 5, other.len - 5, seed));
    }
}

static void test_case_makes_no_difference_but_the_seed_does(void **state)
{
    (void)state;
    struct key lower = key_of("www.example.org", TYPE_A, false, false, 7);
    struct key mixed = key_of("wWw.eXAMple.ORG", TYPE_A, false, false, 7);
    struct key other = key_of("www.example.org", TYPE_A, false, false, 8);
    assert_int_equal(lower.len, mixed.len);
    assert_memory_equal(lower.bytes, mixed.bytes, lower.len);
    assert_true(lower.hash == mixed.hash);
    assert_int_not_equal(lower.hash >> 32, other.hash >> 32);
    assert_int_not_equal((uint32_t)lower.hash, (uint32_t)other.hash);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_is_that_of_others),
        cmocka_unit_test(test_hash_of_every_length),
        cmocka_unit_test(test_what_is_behind_a_name_does_not_count),
        cmocka_unit_test(test_upper_half_is_the_names),
        cmocka_unit_test(test_names_made_to_collide_do_not),
        cmocka_unit_test(test_case_makes_no_difference_but_the_seed_does),
    };
    return cmocka_run_group_tests_name("key hash", tests, NULL, NULL);
}
