// SPDX-License-Identifier: MIT
#include "core/policy/access.h"
#include "core/settings/format.h"

#include "tests/unit/packet.h"

#define PREFIXES_MAX 64

struct lists {
    struct settings settings;
    struct prefix items[3][PREFIXES_MAX]; // by verdict
    struct access_list access;
    void *memory;
};

static struct prefix_list *list_of(struct lists *lists, enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_ALLOW:
        return &lists->settings.access_allow;
    case ACCESS_REFUSE:
        return &lists->settings.access_refuse;
    default:
        return &lists->settings.access_drop;
    }
}

static void add(struct lists *lists, enum access_verdict verdict, struct prefix prefix)
{
    struct prefix_list *list = list_of(lists, verdict);
    assert_in_range(list->count, 0, PREFIXES_MAX - 1);
    list->items = lists->items[verdict];
    list->items[list->count++] = prefix;
}

// Each prefix of a text with spaces.
static void add_text(struct lists *lists, enum access_verdict verdict, const char *text)
{
    size_t len;
    const char *word;
    while ((word = settings_next_word(&text, &len))) {
        struct prefix prefix;
        assert_true(prefix_parse(&prefix, word, len));
        add(lists, verdict, prefix);
    }
}

// The memory is of the exact size, so that a sanitizer sees a write behind it.
static void build(struct lists *lists)
{
    lists->memory = malloc(access_size(&lists->settings));
    assert_non_null(lists->memory);
    access_build(&lists->access, lists->memory, &lists->settings);
}

static struct address address_of(const char *text)
{
    struct address address;
    if (!address_parse(&address, text, strlen(text), 53))
        fail_msg("%s is no address", text);
    return address;
}

struct row {
    const char *name;
    const char *allow;
    const char *refuse;
    const char *drop;
    struct {
        const char *address;
        enum access_verdict verdict;
    } asked[12];
};

#define ALLOW  ACCESS_ALLOW
#define REFUSE ACCESS_REFUSE
#define DROP   ACCESS_DROP
#define TOP6   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const struct row rows[] = {
    {"no list at all",
     "",
     "",
     "",
     {{"0.0.0.0", REFUSE}, {"255.255.255.255", REFUSE}, {"::", REFUSE}, {TOP6, REFUSE}}},
    {"all of IPv4",
     "0.0.0.0/0",
     "",
     "",
     {{"0.0.0.0", ALLOW},
      {"127.255.255.255", ALLOW},
      {"128.0.0.0", ALLOW},
      {"255.255.255.255", ALLOW},
      {"::", REFUSE},
      {TOP6, REFUSE}}},
    {"all of IPv6",
     "",
     "",
     "::/0",
     {{"::", DROP},
      {"7fff:"
       "ffff::",
       DROP},
      {"8000::", DROP},
      {TOP6, DROP},
      {"1.2.3.4", REFUSE}}},
    {"all of both, each its own verdict",
     "0.0.0.0/0",
     "",
     "::/0",
     {{"1.2.3.4", ALLOW}, {"::1.2.3.4", DROP}, {"::ffff:1.2.3.4", DROP}}},
    {"single addresses",
     "192.0.2.1 2001:db8::1",
     "",
     "",
     {{"192.0.2.0", REFUSE},
      {"192.0.2.1", ALLOW},
      {"192.0.2.2", REFUSE},
      {"2001:db8::", REFUSE},
      {"2001:db8::1", ALLOW},
      {"2001:db8::2", REFUSE}}},
    {"the lowest and the highest address",
     "0.0.0.0 255.255.255.255 ::/128 " TOP6,
     "",
     "",
     {{"0.0.0.0", ALLOW},
      {"0.0.0.1", REFUSE},
      {"255.255.255.254", REFUSE},
      {"255.255.255.255", ALLOW},
      {"::", ALLOW},
      {"::1", REFUSE},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", REFUSE},
      {TOP6, ALLOW}}},
    {"a longer prefix wins, whatever the list",
     "10.0.0.0/8 10.1.1.0/24",
     "10.1.0.0/16",
     "10.1.1.128/25 10.1.1.255/32",
     {{"9.255.255.255", REFUSE},
      {"10.0.0.0", ALLOW},
      {"10.0.255.255", ALLOW},
      {"10.1.0.0", REFUSE},
      {"10.1.0.255", REFUSE},
      {"10.1.1.0", ALLOW},
      {"10.1.1.127", ALLOW},
      {"10.1.1.128", DROP},
      {"10.1.1.255", DROP},
      {"10.1.2.0", REFUSE},
      {"10.2.0.0", ALLOW},
      {"11.0.0.0", REFUSE}}},
    {"a hole in everything",
     "0.0.0.0/0",
     "192.0.2.0/24",
     "",
     {{"192.0.1.255", ALLOW},
      {"192.0.2.0", REFUSE},
      {"192.0.2.255", REFUSE},
      {"192.0.3.0", ALLOW}}},
    {"neighbours",
     "10.0.0.0/9 10.128.0.0/9",
     "",
     "11.0.0.0/8",
     {{"10.127.255.255", ALLOW},
      {"10.128.0.0", ALLOW},
      {"10.255.255.255", ALLOW},
      {"11.0.0.0", DROP},
      {"11.255.255.255", DROP},
      {"12.0.0.0", REFUSE}}},
    {"IPv6 borders around 64 bits",
     "2001:db8::/64 2001:db8:0:2::/63 2001:db8:0:4::/65",
     "2001:db8:0:2:8000::/66",
     "",
     {{"2001:db8::", ALLOW},
      {"2001:db8::ffff:ffff:ffff:ffff", ALLOW},
      {"2001:db8:0:1::", REFUSE},
      {"2001:db8:0:2:7fff:ffff:ffff:ffff", ALLOW},
      {"2001:db8:0:2:8000::", REFUSE},
      {"2001:db8:0:2:bfff:ffff:ffff:ffff", REFUSE},
      {"2001:db8:0:2:c000::", ALLOW},
      {"2001:db8:0:3:ffff::", ALLOW},
      {"2001:db8:0:4:7fff:ffff:ffff:ffff", ALLOW},
      {"2001:db8:0:4:8000::", REFUSE}}},
    {"halves of IPv6",
     "8000::/1",
     "",
     "::/1",
     {{"::", DROP},
      {"7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", DROP},
      {"8000::", ALLOW},
      {TOP6, ALLOW}}},
    {"port and scope do not count",
     "192.0.2.1 fe80::/10",
     "",
     "",
     {{"192.0.2.1:1", ALLOW},
      {"192.0.2.1:65535", ALLOW},
      {"[fe80::1%7]:9", ALLOW},
      {"febf::1%1", ALLOW},
      {"fec0::1", REFUSE}}},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct lists lists = {0};
    add_text(&lists, ACCESS_ALLOW, row->allow);
    add_text(&lists, ACCESS_REFUSE, row->refuse);
    add_text(&lists, ACCESS_DROP, row->drop);
    build(&lists);
    for (size_t i = 0; i < COUNT_OF(row->asked) && row->asked[i].address; i++) {
        struct address address = address_of(row->asked[i].address);
        if (access_check(&lists.access, &address) != row->asked[i].verdict)
            fail_msg("%s gets %d", row->asked[i].address, access_check(&lists.access, &address));
    }
    free(lists.memory);
}

static void test_defaults_serve_local_networks_alone(void **state)
{
    (void)state;
    struct lists lists = {0};
    add_text(&lists, ACCESS_ALLOW, settings_find("access", "allow", 5)->fallback);
    add_text(&lists, ACCESS_REFUSE, settings_find("access", "refuse", 6)->fallback);
    add_text(&lists, ACCESS_DROP, settings_find("access", "drop", 4)->fallback);
    build(&lists);
    static const char *const allowed[] = {
        "127.0.0.1",      "127.255.255.255", "10.0.0.0",        "10.255.255.255", "172.16.0.0",
        "172.31.255.255", "192.168.0.0",     "192.168.255.255", "169.254.1.1",    "::1",
        "fc00::1",        "fdff::1",         "fe80::1",         "febf::1"};
    static const char *const refused[] = {
        "126.255.255.255", "128.0.0.0",  "9.255.255.255", "11.0.0.0",
        "172.15.255.255",  "172.32.0.0", "8.8.8.8",       "192.167.255.255",
        "192.169.0.0",     "::",         "::2",           "2001:db8::1",
        "fbff::1",         "fe00::1",    "fec0::1",       "::ffff:10.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        struct address address = address_of(allowed[i]);
        if (access_check(&lists.access, &address) != ACCESS_ALLOW)
            fail_msg("%s is not allowed", allowed[i]);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct address address = address_of(refused[i]);
        if (access_check(&lists.access, &address) != ACCESS_REFUSE)
            fail_msg("%s is not refused", refused[i]);
    }
    free(lists.memory);
}

static bool in_prefix(const struct address *address, const struct prefix *prefix)
{
    if (address->family != prefix->family)
        return false;
    unsigned whole = prefix->length / 8, rest = prefix->length % 8;
    for (unsigned i = 0; i < whole; i++) {
        if (address->ip[i] != prefix->ip[i])
            return false;
    }
    return rest == 0 || (address->ip[whole] ^ prefix->ip[whole]) >> (8 - rest) == 0;
}

static enum access_verdict naive(struct lists *lists, const struct address *address)
{
    enum access_verdict verdict = ACCESS_REFUSE;
    int longest = -1;
    for (unsigned v = 0; v < 3; v++) {
        const struct prefix_list *list = list_of(lists, v);
        for (size_t i = 0; i < list->count; i++) {
            if (list->items[i].length > longest && in_prefix(address, &list->items[i])) {
                longest = list->items[i].length;
                verdict = v;
            }
        }
    }
    return verdict;
}

// Few different bits, so that prefixes lie in each other and addresses in them.
static void random_ip(uint8_t ip[16], uint8_t family, uint64_t *seed)
{
    static const uint8_t octets[] = {0, 0xff, 0x80, 0x7f, 1, 10};
    memset(ip, 0, 16);
    for (unsigned i = 0; i < (family == ADDRESS_IPV4 ? 4u : 16u); i++) {
        uint64_t drawn = test_random(seed);
        ip[i] = drawn % 8 == 0 ? (uint8_t)(drawn >> 8) : octets[(drawn >> 8) % COUNT_OF(octets)];
    }
}

static struct prefix random_prefix(uint64_t *seed)
{
    struct prefix prefix = {.family = test_random(seed) % 2 ? ADDRESS_IPV4 : ADDRESS_IPV6};
    unsigned bits = prefix.family == ADDRESS_IPV4 ? 32 : 128;
    prefix.length = (uint8_t)(test_random(seed) % (bits + 1));
    random_ip(prefix.ip, prefix.family, seed);
    for (unsigned bit = prefix.length; bit < 128; bit++)
        prefix.ip[bit / 8] = (uint8_t)(prefix.ip[bit / 8] & ~(0x80 >> bit % 8));
    return prefix;
}

static bool given_already(struct lists *lists, const struct prefix *prefix)
{
    for (unsigned v = 0; v < 3; v++) {
        const struct prefix_list *list = list_of(lists, v);
        for (size_t i = 0; i < list->count; i++) {
            if (memcmp(&list->items[i], prefix, sizeof *prefix) == 0)
                return true;
        }
    }
    return false;
}

// The first and last address of a prefix and their neighbours.
static void border(struct address *address, const struct prefix *prefix, unsigned which)
{
    unsigned octets = prefix->family == ADDRESS_IPV4 ? 4 : 16;
    *address = (struct address){.family = prefix->family};
    memcpy(address->ip, prefix->ip, octets);
    for (unsigned bit = prefix->length; which >= 2 && bit < octets * 8; bit++)
        address->ip[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    for (unsigned i = octets; which % 2 && i-- > 0;) {
        address->ip[i] = (uint8_t)(address->ip[i] + (which == 1 ? -1 : 1));
        if (address->ip[i] != (which == 1 ? 0xff : 0))
            break;
    }
}

// A million look-ups among lists of up to 192 prefixes.
static void test_random_prefixes_match_a_naive_search(void **state)
{
    enum { ROUNDS = 500, LOOKUPS = 2000 };
    (void)state;
    struct lists *lists = malloc(sizeof *lists);
    assert_non_null(lists);
    uint64_t seed = 3, verdicts[3] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(lists, 0, sizeof *lists);
        unsigned count = (unsigned)(test_random(&seed) % (3 * PREFIXES_MAX - 2));
        for (unsigned i = 0; i < count; i++) {
            struct prefix prefix = random_prefix(&seed);
            unsigned verdict = test_random(&seed) % 3;
            if (!given_already(lists, &prefix) && list_of(lists, verdict)->count < PREFIXES_MAX - 1)
                add(lists, verdict, prefix);
        }
        build(lists);
        for (unsigned i = 0; i < LOOKUPS; i++) {
            struct address address = {.family = i % 2 ? ADDRESS_IPV4 : ADDRESS_IPV6};
            const struct prefix_list *list = list_of(lists, i % 3);
            if (i < 4 * list->count)
                border(&address, &list->items[i / 4], i % 4);
            else
                random_ip(address.ip, address.family, &seed);
            enum access_verdict wanted = naive(lists, &address);
            verdicts[wanted]++;
            if (access_check(&lists->access, &address) != wanted) {
                char text[ADDRESS_TEXT_MAX];
                address_format(&address, text);
                fail_msg("round %u: %s should get %d", round, text, wanted);
            }
        }
        free(lists->memory);
    }
    for (unsigned v = 0; v < 3; v++)
        assert_in_range(verdicts[v], 200000, 500000);
    free(lists);
}

// What there is for a prefix of each length: the worst that can be made of a few is a chain of
// nodes.
static void test_a_prefix_of_every_length(void **state)
{
    (void)state;
    struct lists lists = {0};
    for (unsigned length = 1; length <= 128; length++) {
        struct prefix prefix = {.family = ADDRESS_IPV6, .length = (uint8_t)length};
        if (length <= 127)
            prefix.ip[(length - 1) / 8] = (uint8_t)(0x80 >> (length - 1) % 8);
        add(&lists, length % 3, prefix);
    }
    build(&lists);
    for (unsigned length = 1; length <= 127; length++) {
        struct address address = {.family = ADDRESS_IPV6};
        address.ip[(length - 1) / 8] = (uint8_t)(0x80 >> (length - 1) % 8);
        assert_int_equal(access_check(&lists.access, &address), length % 3);
        address.ip[15] |= 1;
        assert_int_equal(access_check(&lists.access, &address), length % 3);
    }
    assert_int_equal(access_check(&lists.access, &(struct address){.family = ADDRESS_IPV6}),
                     128 % 3);
    assert_int_equal(access_check(&lists.access, &(struct address){.family = ADDRESS_IPV4}),
                     ACCESS_REFUSE);
    free(lists.memory);
}

// Thousands that differ in one octet need a node for each of their networks and no more.
static void test_thousands_of_prefixes(void **state)
{
    enum { COUNT = 10000 };
    (void)state;
    struct prefix *prefixes = calloc(COUNT, sizeof *prefixes);
    assert_non_null(prefixes);
    for (unsigned i = 0; i < COUNT; i++) {
        prefixes[i] = (struct prefix){.family = ADDRESS_IPV4, .length = 24};
        store_be32(prefixes[i].ip, 0x0a000000u + (i << 8));
    }
    struct lists lists = {.settings.access_allow = {prefixes, COUNT}};
    build(&lists);
    for (unsigned i = 0; i < COUNT + 256; i++) {
        struct address address = {.family = ADDRESS_IPV4};
        store_be32(address.ip, 0x0a000000u + (i << 8) + i % 256);
        assert_int_equal(access_check(&lists.access, &address),
                         i < COUNT ? ACCESS_ALLOW : ACCESS_REFUSE);
    }
    assert_in_range(lists.access.node_octets, 1, (COUNT / 256 + 1) * 320);
    free(lists.memory);
    free(prefixes);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_defaults_serve_local_networks_alone),
    cmocka_unit_test(test_random_prefixes_match_a_naive_search),
    cmocka_unit_test(test_a_prefix_of_every_length),
    cmocka_unit_test(test_thousands_of_prefixes),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_row, rows, sizeof *rows, COUNT_OF(rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
