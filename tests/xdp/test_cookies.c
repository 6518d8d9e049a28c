// SPDX-License-Identifier: MIT
#include "tests/xdp/cookies.h"
#include "tests/xdp/frame.h"
#include "tests/xdp/program.h"

#include <stdio.h>
#include <stdlib.h>

// The program takes the cookies of RFC 9018, appendix A, for what they are: it answers those that
// are valid and need no renewal, with the cookie as it came, and leaves all others to the worker.
// And each bit of a valid cookie counts, each of the client's address, and each second.
//
//   test_cookies   TAP; skipped where BPF is not allowed

#define SECRET_A   "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_OLD "dd3bdf9344b678b185a6f5cb60fca715"
#define SECRET_NEW "445536bcd2513298075a5d379663c962"

#define CLIENT_A "198.51.100.100"
#define CLIENT_B "203.0.113.203"
#define CLIENT_C "2001:db8:220:1:59de:d0f4:8769:82b8"

enum {
    SEED = 1,
    MESSAGE_MAX = 600,
    HITS = 6, // after which the program answers
    DAY_S = 86400,
    DAYS_MAX = 100, // of which the program is not told at the end of some
    TRIES = 5,      // where a second ends between two looks at the clock
};

// In the order of time.
static const struct vector {
    const char *name, *current, *previous, *from, *cookie;
    uint32_t now_s;
    bool answered;
} vectors[] = {
    {"A.3: reserved bits set", SECRET_A, NULL, CLIENT_B,
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, true},
    {"A.1: a client's part alone", SECRET_A, NULL, CLIENT_A, "2464c4abcf10c957", 1559731985, false},
    {"A.1: what it gets", SECRET_A, NULL, CLIENT_A,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, true},
    {"A.2: due for renewal", SECRET_A, NULL, CLIENT_A,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, false},
    {"A.2: what it gets", SECRET_A, NULL, CLIENT_A,
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", 1559734385, true},
    {"A.2: of another client", SECRET_A, NULL, CLIENT_B,
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", 1559734385, false},
    {"A.3: what it gets", SECRET_A, NULL, CLIENT_B,
     "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", 1559734700, true},
    {"A.4: before the roll-over", SECRET_OLD, NULL, CLIENT_C,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, true},
    {"A.4: of the secret before", SECRET_NEW, SECRET_OLD, CLIENT_C,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, false},
    {"A.4: of a secret that is gone", SECRET_NEW, NULL, CLIENT_C,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, false},
    {"A.4: what it gets", SECRET_NEW, SECRET_OLD, CLIENT_C,
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961, true},
    {"A.4: where cookies are off", NULL, NULL, CLIENT_C,
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961, false},
};

// One client's query with a cookie.
struct asked {
    struct frame_form form;
    struct address from;
    uint8_t message[MESSAGE_MAX];
    size_t len, cookie_at;
};

static unsigned tests;

static bool report(bool good, const char *what)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests, what);
    return good;
}

static size_t octets_of(const char *text, uint8_t *octets)
{
    size_t len = text ? strlen(text) / 2 : 0;
    for (size_t i = 0; i < len; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        octets[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len;
}

static struct asked query_make(const struct world *w, unsigned name, const char *from,
                               const char *cookie)
{
    struct asked asked = {.from.port = 4242};
    bool parsed = address_parse(&asked.from, from, strlen(from), 4242);
    asked.form = (struct frame_form){.ipv6 = parsed && asked.from.family == ADDRESS_IPV6};
    uint8_t *message = asked.message, *opt;
    store_be16(message, 0x1234);
    message[2] = HEADER_RD;
    message[5] = message[11] = 1;
    asked.len = MESSAGE_HEADER_LEN + world_name(w, name, message + MESSAGE_HEADER_LEN);
    store_be16(message + asked.len, TYPE_A);
    store_be16(message + asked.len + 2, CLASS_IN);
    opt = message + asked.len + 4;
    opt_write(opt, 1232, RCODE_NOERROR, false);
    asked.cookie_at = asked.len + 4 + OPT_LEN + 4;
    size_t cookie_len = octets_of(cookie, message + asked.cookie_at);
    asked.len += 4 + OPT_LEN;
    if (!cookie)
        return asked;
    store_be16(opt + OPT_LEN - 2, (uint16_t)(4 + cookie_len));
    store_be16(opt + OPT_LEN, EDNS_COOKIE);
    store_be16(opt + OPT_LEN + 2, (uint16_t)cookie_len);
    asked.len += 4 + cookie_len;
    return asked;
}

static struct frame frame_of(const struct asked *asked)
{
    struct frame frame = {0};
    struct frame_form form = asked->form;
    form.from = &asked->from;
    frame_write(&frame, &form, asked->message, asked->len);
    return frame;
}

// Does the program answer it? NULL where it does what it may: answers as the worker does, with the
// cookie as it came, or leaves the frame as it was.
static const char *program_ask(struct world *w, const struct asked *asked, bool *answered)
{
    struct frame query = frame_of(asked), reply = query;
    struct client client = {.from = asked->from, .transport = TRANSPORT_UDP};
    world_turn_set(w, world_turn(w));
    *answered = world_run(w, reply.bytes, &reply.len) == PROGRAM_TX;
    if (!*answered)
        return reply.len == query.len && memcmp(reply.bytes, query.bytes, query.len) == 0
                   ? NULL
                   : "it goes up changed";
    const char *wrong = frame_check(&query, &asked->form, &reply);
    if (wrong)
        return wrong;
    struct serve_item item = world_ask(w, &client, asked->message, asked->len);
    size_t len = reply.len - reply.message_at;
    if (item.out_len != len || memcmp(item.out, reply.bytes + reply.message_at, len) != 0)
        return "the worker says something else";
    size_t cookie_len = asked->len - asked->cookie_at;
    if (asked->len > asked->cookie_at && memcmp(reply.bytes + reply.len - cookie_len,
                                                asked->message + asked->cookie_at, cookie_len) != 0)
        return "the reply does not end with the cookie";
    return NULL;
}

// A name that the program answers this client for as long as the cookie does not forbid it.
static unsigned name_find(struct world *w, const char *from)
{
    for (unsigned name = 0; name < WORLD_NAMES; name++) {
        struct asked asked = query_make(w, name, from, NULL);
        struct client client = {.from = asked.from, .transport = TRANSPORT_UDP};
        bool answered;
        for (unsigned i = 0; i < HITS; i++)
            (void)world_ask(w, &client, asked.message, asked.len);
        if (!program_ask(w, &asked, &answered) && answered)
            return name;
    }
    return WORLD_NAMES;
}

static void clock_set(struct world *w, uint32_t now_s)
{
    uint64_t now_us = world_now_us(w), wanted_us = now_s * 1000000ull;
    if (wanted_us > now_us)
        world_wait(w, wanted_us - now_us);
}

static void secrets_set(struct world *w, const char *current, const char *previous)
{
    struct cookie_source source = {.count = 1 + (previous != NULL)};
    (void)octets_of(current, source.keys[0]);
    (void)octets_of(previous, source.keys[1]);
    world_cookies(w, current ? &source : NULL);
}

static void vector_test(struct world *w, const struct vector *v)
{
    bool answered;
    clock_set(w, v->now_s);
    secrets_set(w, v->current, v->previous);
    unsigned name = name_find(w, v->from);
    struct asked asked = query_make(w, name, v->from, v->cookie);
    const char *wrong = program_ask(w, &asked, &answered);
    if (name == WORLD_NAMES)
        wrong = "nothing is answered";
    if (wrong || answered != v->answered)
        printf("# %s\n", wrong ? wrong : answered ? "answered" : "not answered");
    report(!wrong && answered == v->answered, v->name);
}

// A valid cookie of this moment.
static struct asked valid_make(struct world *w, unsigned name, const char *from, int age_s)
{
    struct asked asked =
        query_make(w, name, from, "00112233445566770100000000000000ffffffffffffffff");
    uint8_t *cookie = asked.message + asked.cookie_at;
    store_be32(cookie + 12, (uint32_t)(world_now_us(w) / 1000000) - (uint32_t)age_s);
    cookie_seal(cookie, w->cookies.keys[0], &asked.from);
    return asked;
}

static bool is_right(struct world *w, const struct asked *asked, bool wanted)
{
    bool answered;
    return !program_ask(w, asked, &answered) && answered == wanted;
}

// How many bits of the cookie, and of the client's address, do not count.
static void bits_test(struct world *w, const char *from, const char *what)
{
    unsigned name = name_find(w, from), wrong = 0;
    struct asked valid = valid_make(w, name, from, 0);
    unsigned cookie_bits = 8 * COOKIE_WHOLE_LEN;
    unsigned address_bits = valid.form.ipv6 ? 128 : 32;
    wrong += !is_right(w, &valid, true);
    for (unsigned bit = 0; bit < cookie_bits; bit++) {
        struct asked asked = valid;
        asked.message[asked.cookie_at + bit / 8] ^= (uint8_t)(1u << bit % 8);
        wrong += !is_right(w, &asked, false);
    }
    for (unsigned bit = 0; bit < address_bits; bit++) {
        struct asked asked = valid;
        uint8_t *cookie = asked.message + asked.cookie_at;
        asked.from.ip[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cookie_seal(cookie, w->cookies.keys[0], &asked.from);
        asked.from = valid.from;
        wrong += !is_right(w, &asked, false);
    }
    wrong += !is_right(w, &valid, true);
    report(wrong == 0, what);
}

static void ages_test(struct world *w)
{
    static const struct {
        int age_s;
        bool answered;
    } rows[] = {{-86400, false}, {-301, false}, {-300, true},  {-1, true},
                {0, true},       {1800, true},  {1801, false}, {86400, false}};
    unsigned name = name_find(w, CLIENT_A), wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool same = false;
        for (unsigned tries = 0; tries < TRIES && !same; tries++) {
            struct asked asked = valid_make(w, name, CLIENT_A, rows[i].age_s);
            same = is_right(w, &asked, rows[i].answered);
        }
        wrong += !same;
    }
    report(wrong == 0, "the first and the last second of a cookie");
}

// Does the program do that with a cookie of the secret of that time?
static bool secret_right(struct world *w, const struct cookie_source *source, uint64_t time_s,
                         bool wanted)
{
    struct cookie_secrets secrets;
    struct asked asked = valid_make(w, name_find(w, CLIENT_A), CLIENT_A, 0);
    cookie_secrets_at(&secrets, source, time_s);
    cookie_seal(asked.message + asked.cookie_at, secrets.keys[0], &asked.from);
    return is_right(w, &asked, wanted);
}

static void end_test(struct world *w)
{
    struct cookie_source source = {.keys = {"drawn at a start"}, .period_s = DAY_S};
    uint64_t first_s = world_now_us(w) / 1000000, second_s;
    bool right, untold = false;
    world_cookies(w, &source);
    right = secret_right(w, &source, first_s, true);
    for (unsigned days = 0; days < DAYS_MAX && !untold; days++) {
        first_s = world_now_us(w) / 1000000;
        world_wait(w, DAY_S * 1000000ull);
        untold = !world_checks_cookies(w);
    }
    second_s = world_now_us(w) / 1000000;
    right &= secret_right(w, &source, first_s, false) && secret_right(w, &source, second_s, false);
    world_cookies(w, &source);
    right &= secret_right(w, &source, first_s, false) && secret_right(w, &source, second_s, true);
    report(right && untold,
           "from the end of a secret on none is checked, until the program has the next");
}

int main(void)
{
    char why[PLANE_WHY_SIZE] = "";
    struct world *w = world_make_at(vectors[0].now_s - 60, SEED,
                                    (struct plane_options){.shard_size = 1 << 20}, why);
    if (!w) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    world_allow_all(w);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        vector_test(w, &vectors[i]);
    secrets_set(w, SECRET_A, NULL);
    bits_test(w, CLIENT_A, "each bit of a cookie and of an IPv4 address counts");
    bits_test(w, CLIENT_C, "each bit of a cookie and of an IPv6 address counts");
    ages_test(w);
    end_test(w);
    printf("1..%u\n", tests);
    world_free(w);
    return 0;
}
