// SPDX-License-Identifier: MIT
#include "core/policy/cookie.h"

#include "tests/unit/packet.h"

// The reference's own: the key and the input are octets counting up from 0, the input of row n has
// n of them, and the hash is written with its lowest octet first.
static const char *const siphash_vectors[] = {
    "310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
    "b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
    "6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
    "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1",
    "db9bc2577fcc2a3f", "9447be2cf5e99a69", "9cd38d96f0b3c14b", "bd6179a71dc96dbb",
    "98eea21af25cd6be", "c7673b2eb0cbf2d0", "883ea3e395675393", "c8ce5ccd8c030ca8",
    "94af49f6c650adb8", "eab8858ade92e1bc", "f315bb5bb835d817", "adcf6b0763612e2f",
    "a5c91da7acaa4dde", "716595876650a2a6", "28ef495c53a387ad", "42c341d8fa92d832",
    "ce7cf2722f512771", "e37859f94623f3a7", "381205bb1ab0e012", "ae97a10fd434e015",
    "b4a31508beff4d31", "81396229f0907902", "4d0cf49ee5d4dcca", "5c73336a76d8bf9a",
    "d0a704536ba93e0e", "925958fcd6420cad", "a915c29bc8067318", "952b79f3bc0aa6d4",
    "f21df2e41d4535f9", "87577519048f53a9", "10a56cf5dfcd9adb", "eb75095ccd986cd0",
    "51a9cb9ecba312e6", "96afadfc2ce666c7", "72fe52975a4364ee", "5a1645b276d592a1",
    "b274cb8ebf87870a", "6f9bb4203de7b381", "eaecb2a30b22a87f", "9924a43cc1315724",
    "bd838d3aafbf8db7", "0b1a2a3265d51aea", "135079a3231ce660", "932b2846e4d70666",
    "e1915f5cb1eca46c", "f325965ca16d629f", "575ff28e60381be5", "724506eb4c328a95",
};

static void test_siphash_vectors(void **state)
{
    (void)state;
    uint8_t octets[64];
    for (unsigned i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)i;
    assert_int_equal(COUNT_OF(siphash_vectors), 64);
    for (size_t len = 0; len < COUNT_OF(siphash_vectors); len++) {
        uint8_t *input = exact_copy(octets, len);
        uint64_t hash = siphash24(octets, input, len);
        assert_packet((const uint8_t *)&hash, sizeof hash, siphash_vectors[len]);
        free(input);
    }
}

static struct address address_of(const char *text)
{
    struct address address;
    if (!address_parse(&address, text, strlen(text), 53))
        fail_msg("%s is no address", text);
    return address;
}

static struct cookie_secrets secrets_of(const char *current, const char *previous)
{
    struct cookie_secrets secrets = {.count = previous ? 2 : 1};
    memcpy(secrets.keys[0], packet_of(current).bytes, SIPHASH_KEY_LEN);
    if (previous)
        memcpy(secrets.keys[1], packet_of(previous).bytes, SIPHASH_KEY_LEN);
    return secrets;
}

#define SECRET_A   "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_OLD "dd3bdf9344b678b185a6f5cb60fca715"
#define SECRET_NEW "445536bcd2513298075a5d379663c962"

// RFC 9018 appendix A. What the client of A.3 sends is older than 4.3 wants it, so it is checked
// when it was made.
static const struct vector {
    const char *name;
    const char *current;
    const char *previous;
    const char *from;
    const char *sent;
    uint32_t checked_s;
    enum cookie_verdict verdict;
    uint32_t made_s;
    const char *given;
} vectors[] = {
    {"A.1: learning a new server cookie", SECRET_A, NULL, "198.51.100.100", "2464c4abcf10c957",
     1559731985, COOKIE_CLIENT_ONLY, 1559731985,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"A.2: the same client learning a renewed one", SECRET_A, NULL, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, COOKIE_RENEW, 1559734385,
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
    {"A.3: another client, with reserved bits set", SECRET_A, NULL, "203.0.113.203",
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, COOKIE_VALID, 1559734700,
     "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
    {"A.4: IPv6 with a rolled over secret", SECRET_NEW, SECRET_OLD,
     "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
     1559741961, COOKIE_RENEW, 1559741961, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
    {"A.4 without the secret it was made with", SECRET_NEW, NULL,
     "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
     1559741961, COOKIE_INVALID, 1559741961, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
};

static void test_vector(void **state)
{
    const struct vector *v = *state;
    struct cookie_secrets secrets = secrets_of(v->current, v->previous);
    struct address from = address_of(v->from);
    struct packet sent = packet_of(v->sent);
    uint8_t *cookie = exact_copy(sent.bytes, sent.len);
    uint8_t given[COOKIE_WHOLE_LEN];
    assert_int_equal(cookie_check(&secrets, cookie, sent.len, &from, v->checked_s), v->verdict);
    cookie_make(given, &secrets, cookie, &from, v->made_s);
    assert_packet(given, sizeof given, v->given);
    free(cookie);
}

enum { MADE_S = 1800000000 };

static void test_valid_by_time(void **state)
{
    static const struct {
        int age_s;
        enum cookie_verdict verdict;
    } rows[] = {
        {-301, COOKIE_INVALID}, {-300, COOKIE_VALID},    {0, COOKIE_VALID},
        {1800, COOKIE_VALID},   {1801, COOKIE_RENEW},    {3600, COOKIE_RENEW},
        {3601, COOKIE_INVALID}, {86400, COOKIE_INVALID},
    };
    (void)state;
    // The last moment is where the 32 bits run over.
    static const uint64_t moments[] = {MADE_S, UINT32_MAX - 100u, (uint64_t)UINT32_MAX + 1000};
    struct cookie_secrets secrets = secrets_of(SECRET_A, NULL);
    struct address from = address_of("192.0.2.1");
    for (size_t m = 0; m < COUNT_OF(moments); m++) {
        uint8_t cookie[COOKIE_WHOLE_LEN];
        cookie_make(cookie, &secrets, (const uint8_t *)"any here", &from, moments[m]);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            uint64_t now_s = moments[m] + (uint64_t)(int64_t)rows[i].age_s;
            if (cookie_check(&secrets, cookie, sizeof cookie, &from, now_s) != rows[i].verdict)
                fail_msg("wrong at an age of %d s", rows[i].age_s);
        }
    }
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    static const char *const clients[] = {"192.0.2.1", "2001:db8::1"};
    struct cookie_secrets secrets = secrets_of(SECRET_A, NULL);
    for (size_t c = 0; c < COUNT_OF(clients); c++) {
        struct address from = address_of(clients[c]);
        uint8_t cookie[COOKIE_WHOLE_LEN];
        cookie_make(cookie, &secrets, (const uint8_t *)"any here", &from, MADE_S);
        for (unsigned bit = 0; bit < 8 * COOKIE_WHOLE_LEN; bit++) {
            cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(cookie_check(&secrets, cookie, sizeof cookie, &from, MADE_S),
                             COOKIE_INVALID);
            cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (unsigned bit = 0; bit < (c == 0 ? 32 : 128); bit++) {
            struct address other = from;
            other.ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(cookie_check(&secrets, cookie, sizeof cookie, &other, MADE_S),
                             COOKIE_INVALID);
        }
        from.port++; // a client's next query comes from another port
        assert_int_equal(cookie_check(&secrets, cookie, sizeof cookie, &from, MADE_S),
                         COOKIE_VALID);
    }
}

static void test_other_lengths_are_not_ours(void **state)
{
    (void)state;
    struct cookie_secrets secrets = secrets_of(SECRET_A, NULL);
    struct address from = address_of("192.0.2.1");
    uint8_t whole[40] = {0};
    cookie_make(whole, &secrets, whole, &from, MADE_S);
    for (size_t len = 8; len <= 40; len++) {
        uint8_t *cookie = exact_copy(whole, len);
        enum cookie_verdict wanted = len == 8    ? COOKIE_CLIENT_ONLY
                                     : len == 24 ? COOKIE_VALID
                                                 : COOKIE_INVALID;
        assert_int_equal(cookie_check(&secrets, cookie, len, &from, MADE_S), wanted);
        free(cookie);
    }
}

static void test_given_secrets_stay(void **state)
{
    (void)state;
    struct cookie_source source = {.count = 2};
    struct cookie_secrets secrets;
    memcpy(source.keys[0], packet_of(SECRET_NEW).bytes, SIPHASH_KEY_LEN);
    memcpy(source.keys[1], packet_of(SECRET_OLD).bytes, SIPHASH_KEY_LEN);
    cookie_secrets_at(&secrets, &source, MADE_S);
    assert_int_equal(secrets.count, 2);
    assert_true(secrets.until_s == UINT64_MAX);
    assert_memory_equal(secrets.keys, source.keys, sizeof source.keys);
}

// A day's secret, which counts for another hour.
static void test_drawn_secrets_change(void **state)
{
    enum { DAY = 86400 };
    (void)state;
    struct cookie_source source = {.period_s = DAY};
    struct cookie_secrets before, early, late, next;
    uint64_t begun_s = MADE_S / DAY * DAY;
    memcpy(source.keys[0], packet_of(SECRET_A).bytes, SIPHASH_KEY_LEN);
    cookie_secrets_at(&before, &source, begun_s - 1);
    cookie_secrets_at(&early, &source, begun_s);
    cookie_secrets_at(&late, &source, begun_s + COOKIE_OVERLAP_S);
    cookie_secrets_at(&next, &source, begun_s + DAY);
    assert_int_equal(before.count, 1);
    assert_true(before.until_s == begun_s);
    assert_int_equal(early.count, 2);
    assert_true(early.until_s == begun_s + COOKIE_OVERLAP_S);
    assert_memory_equal(early.keys[1], before.keys[0], SIPHASH_KEY_LEN);
    assert_memory_not_equal(early.keys[0], before.keys[0], SIPHASH_KEY_LEN);
    assert_int_equal(late.count, 1);
    assert_true(late.until_s == begun_s + DAY);
    assert_memory_equal(late.keys[0], early.keys[0], SIPHASH_KEY_LEN);
    assert_memory_not_equal(next.keys[0], late.keys[0], SIPHASH_KEY_LEN);
    assert_memory_not_equal(next.keys[0], source.keys[0], SIPHASH_KEY_LEN);

    // So no cookie dies before its time because of a change.
    struct address from = address_of("192.0.2.1");
    uint8_t cookie[COOKIE_WHOLE_LEN];
    cookie_make(cookie, &before, (const uint8_t *)"any here", &from, begun_s - 1);
    for (uint64_t age_s = 0; age_s <= COOKIE_AGE_MAX_S; age_s += 60) {
        struct cookie_secrets now;
        cookie_secrets_at(&now, &source, begun_s - 1 + age_s);
        enum cookie_verdict verdict =
            cookie_check(&now, cookie, sizeof cookie, &from, begun_s - 1 + age_s);
        assert_int_equal(verdict, age_s == 0 ? COOKIE_VALID : COOKIE_RENEW);
    }
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_siphash_vectors),    cmocka_unit_test(test_valid_by_time),
    cmocka_unit_test(test_every_bit_counts),   cmocka_unit_test(test_other_lengths_are_not_ours),
    cmocka_unit_test(test_given_secrets_stay), cmocka_unit_test(test_drawn_secrets_change),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(vectors) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_vector, vectors, sizeof *vectors, COUNT_OF(vectors));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
