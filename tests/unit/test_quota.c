// SPDX-License-Identifier: MIT
#include "core/policy/quota.h"

#include "tests/unit/packet.h"

enum { SECOND_US = 1000000, START_US = 1700000000 };

struct bench {
    struct quota quota;
    void *memory;
    uint64_t now_us;
};

static const struct quota_config usual = {
    .queries_per_s = 100,
    .answers_per_s = 10,
    .burst_ms = 1000,
    .flood_factor = 5,
    .networks = 4096,
    .workers = 1,
    .ipv4_bits = 32,
    .ipv6_bits = 56,
    .seed = {0x0123456789abcdef, 0xfedcba9876543210},
};

// The memory is of the exact size, so that a sanitizer sees a write behind it.
static struct bench bench_of(const struct quota_config *config)
{
    struct bench bench = {.now_us = START_US};
    bench.memory = aligned_alloc(64, quota_size(config));
    assert_non_null(bench.memory);
    quota_init(&bench.quota, bench.memory, config);
    return bench;
}

static struct address client(const char *text, uint16_t port)
{
    struct address address;
    if (!address_parse(&address, text, strlen(text), port))
        fail_msg("%s is no address", text);
    return address;
}

// Asks `per_s` queries a second for so long and counts the verdicts.
static void ask(struct bench *bench, const struct address *from, unsigned per_s, unsigned seconds,
                unsigned counts[3])
{
    memset(counts, 0, 3 * sizeof *counts);
    for (unsigned i = 0; i < per_s * seconds; i++) {
        bench->now_us += SECOND_US / per_s;
        counts[quota_query(&bench->quota, bench->now_us, from, false)]++;
    }
}

static void assert_near(double is, double wanted, double part)
{
    if (is < wanted * (1 - part) - 2 || is > wanted * (1 + part) + 2)
        fail_msg("%.1f is not within %.0f %% of %.1f", is, 100 * part, wanted);
}

// Ten seconds at each of several rates: what is within the rate and the burst gets all, what is
// above it gets hits up to the factor, and the rest is a flood.
static void test_three_states_by_rate(void **state)
{
    (void)state;
    static const unsigned rates[] = {1, 10, 50, 99, 200, 400, 1000, 5000, 50000};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct bench bench = bench_of(&usual);
        struct address from = client("192.0.2.1", 4000);
        unsigned counts[3];
        ask(&bench, &from, rates[i], 10, counts);
        unsigned asked = 10 * rates[i], all = 100 * 10 + 100, flood = 500 * 10 + 500;
        assert_near(counts[QUOTA_ALL], asked < all ? asked : all, 0.01);
        if (asked < all)
            assert_int_equal(counts[QUOTA_HITS_ONLY], 0);
        else
            assert_near(counts[QUOTA_HITS_ONLY], (asked < flood ? asked : flood) - (double)all,
                        0.02);
        assert_near(counts[QUOTA_FLOOD], asked < flood ? 0 : asked - (double)flood, 0.02);
        free(bench.memory);
    }
}

static void test_rates_from_one_to_a_million(void **state)
{
    (void)state;
    for (uint32_t rate = 1; rate <= 1000000; rate *= 10) {
        static const uint32_t bursts_ms[] = {100, 1000, 60000};
        for (size_t b = 0; b < COUNT_OF(bursts_ms); b++) {
            struct quota_config config = usual;
            config.queries_per_s = rate;
            config.burst_ms = bursts_ms[b];
            config.flood_factor = 1000;
            struct bench bench = bench_of(&config);
            struct address from = client("192.0.2.1", 4000);
            double burst = rate * (double)bursts_ms[b] / 1000;
            unsigned all = 0, asked = 0;
            // About three times the rate for 20 s, or as long as that is not too much work.
            uint64_t step_us =
                3 * (uint64_t)rate > SECOND_US ? 1 : SECOND_US / (3 * (uint64_t)rate);
            unsigned per_step = 3 * (uint64_t)rate > SECOND_US ? 3 * rate / SECOND_US : 1;
            while (bench.now_us < START_US + 20 * (uint64_t)SECOND_US && asked < 3000000) {
                bench.now_us += step_us;
                for (unsigned i = 0; i < per_step; i++, asked++)
                    all += quota_query(&bench.quota, bench.now_us, &from, false) == QUOTA_ALL;
            }
            double wanted = rate * (double)(bench.now_us - START_US) / SECOND_US;
            wanted += burst > 4 ? burst : 4;
            assert_near(all, asked < wanted ? asked : wanted, 0.03);
            free(bench.memory);
        }
    }
}

static void test_networks_are_counted_apart(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1", true},
        {"2001:db8:0:100::1", "2001:db8:0:200::1", false},
        {"192.0.2.1", "::c000:0201", false},
        {"0.0.0.1", "::1", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench bench = bench_of(&usual);
        struct address one = client(rows[i].one, 4000), other = client(rows[i].other, 4000);
        for (unsigned n = 0; n < 100; n++)
            assert_int_equal(quota_query(&bench.quota, bench.now_us, &one, false), QUOTA_ALL);
        enum quota_verdict wanted = rows[i].same ? QUOTA_HITS_ONLY : QUOTA_ALL;
        assert_int_equal(quota_query(&bench.quota, bench.now_us, &other, false), wanted);
        free(bench.memory);
    }
}

static void test_prefix_lengths(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 64; bits++) {
        struct quota_config config = usual;
        config.ipv4_bits = bits < 32 ? (uint8_t)bits : 32;
        config.ipv6_bits = (uint8_t)bits;
        struct bench bench = bench_of(&config);
        for (unsigned family = 0; family < 2; family++) {
            unsigned own = family ? config.ipv6_bits : config.ipv4_bits;
            struct address inside = client(family ? "2001:db8::" : "192.0.0.0", 4000);
            struct address outside = inside;
            for (unsigned n = 0; n < 100; n++)
                (void)quota_query(&bench.quota, bench.now_us, &inside, false);
            inside.ip[15] ^= family ? 0xff : 0; // the last bits, which never count
            if (own < 32)
                inside.ip[3] ^= 1;
            outside.ip[(own - 1) / 8] ^= (uint8_t)(0x80 >> (own - 1) % 8);
            assert_int_equal(quota_query(&bench.quota, bench.now_us, &outside, false), QUOTA_ALL);
            if (own < 32)
                assert_int_equal(quota_query(&bench.quota, bench.now_us, &inside, false),
                                 QUOTA_HITS_ONLY);
        }
        free(bench.memory);
    }
}

static void test_what_is_proven_has_its_own_bucket(void **state)
{
    (void)state;
    struct bench bench = bench_of(&usual);
    struct address from = client("192.0.2.1", 4000);
    for (unsigned i = 0; i < 5000; i++)
        (void)quota_query(&bench.quota, bench.now_us, &from, false);
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from, false), QUOTA_FLOOD);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(quota_query(&bench.quota, bench.now_us, &from, true), QUOTA_ALL);
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from, true), QUOTA_HITS_ONLY);
    free(bench.memory);
}

static void test_the_same_answers_are_counted_by_kind_and_network(void **state)
{
    (void)state;
    struct bench bench = bench_of(&usual);
    struct address one = client("192.0.2.1", 4000), other = client("192.0.2.2", 4000);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(quota_answer(&bench.quota, bench.now_us, &one, 7));
        assert_true(quota_answer(&bench.quota, bench.now_us, &one, 8));
    }
    assert_false(quota_answer(&bench.quota, bench.now_us, &one, 7));
    assert_false(quota_answer(&bench.quota, bench.now_us, &one, 8));
    assert_true(quota_answer(&bench.quota, bench.now_us, &one, 9));
    assert_true(quota_answer(&bench.quota, bench.now_us, &other, 7));
    bench.now_us += SECOND_US / 10 + 2000;
    assert_true(quota_answer(&bench.quota, bench.now_us, &one, 7));
    assert_false(quota_answer(&bench.quota, bench.now_us, &one, 7));
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &one, false), QUOTA_ALL);
    free(bench.memory);
}

// Which worker gets a query is chosen by its source port. Whatever the ports, the machine's rate is
// kept; only a client that has found a port for each worker gets that many times as much.
static void test_workers_share_the_rate(void **state)
{
    (void)state;
    enum { WORKERS = 8, SECONDS = 20, PER_S = 2000 };
    static const struct {
        unsigned ports;  // that it uses; 0: a new one each time
        unsigned in_row; // queries from one port before the next
        double low, high;
    } rows[] = {
        {1, 1, 1, 1.1}, {0, 1, 1, 1.1}, {0, 2, 1, 1.1}, {1000, 1, 1, 1.1}, {2, 1000000, 1, 1.1}};
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        struct quota_config config = usual;
        config.workers = WORKERS;
        config.queries_per_s = 200;
        config.flood_factor = 100;
        struct bench benches[WORKERS];
        for (unsigned w = 0; w < WORKERS; w++)
            benches[w] = bench_of(&config);
        struct address from = client("192.0.2.1", 4000);
        uint64_t seed = 1, now_us = START_US;
        unsigned all = 0;
        for (unsigned i = 0; i < PER_S * SECONDS; i++) {
            now_us += SECOND_US / PER_S;
            if (i % rows[r].in_row == 0)
                from.port = (uint16_t)(rows[r].ports ? 1024 + i / rows[r].in_row % rows[r].ports
                                                     : 1024 + test_random(&seed) % 60000);
            unsigned worker = (from.port * 2654435761u >> 16) % WORKERS;
            all += quota_query(&benches[worker].quota, now_us, &from, false) == QUOTA_ALL;
        }
        double wanted = 200.0 * SECONDS + 200;
        if (all < rows[r].low * wanted * 0.95 || all > rows[r].high * wanted)
            fail_msg("row %zu: %u queries got all, not about %.0f", r, all, wanted);
        for (unsigned w = 0; w < WORKERS; w++)
            free(benches[w].memory);
    }
}

// The least recently active of a line goes, and that is counted where something is lost by it.
static void test_a_full_line_gives_up_the_least_recent(void **state)
{
    (void)state;
    struct quota_config config = usual;
    config.networks = 3; // one line
    struct bench bench = bench_of(&config);
    static const char *const texts[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
    struct address from[4];
    for (unsigned c = 0; c < 3; c++) {
        from[c] = client(texts[c], 4000);
        for (unsigned i = 0; i < 101; i++)
            (void)quota_query(&bench.quota, bench.now_us, &from[c], false);
        bench.now_us += 2000;
    }
    assert_int_equal(bench.quota.queries.displaced, 0);
    from[3] = client(texts[3], 4000);
    bench.now_us += 2000;
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from[3], false), QUOTA_ALL);
    assert_int_equal(bench.quota.queries.displaced, 1);
    // The second and third are still known. So the first has gone, and begins with a full bucket.
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from[1], false), QUOTA_HITS_ONLY);
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from[2], false), QUOTA_HITS_ONLY);
    assert_int_equal(quota_query(&bench.quota, bench.now_us, &from[0], false), QUOTA_ALL);
    assert_int_equal(bench.quota.queries.displaced, 2);
    // After two seconds all are back to full: nothing is lost any more.
    bench.now_us += 2 * SECOND_US;
    for (unsigned i = 0; i < 100; i++) {
        struct address next = client("198.51.100.0", 4000);
        next.ip[3] = (uint8_t)i;
        (void)quota_query(&bench.quota, bench.now_us, &next, false);
        bench.now_us += SECOND_US;
    }
    assert_int_equal(bench.quota.queries.displaced, 2);
    free(bench.memory);
}

struct model {
    double tokens;
    double flood;
    uint64_t at_us;
};

// Random clients at random times against buckets in floating point. Where the model is near an edge
// both verdicts are right.
static void test_random_clients_match_a_model(void **state)
{
    enum { CLIENTS = 50, STEPS = 400000 };
    (void)state;
    struct bench bench = bench_of(&usual);
    struct model models[CLIENTS];
    for (unsigned c = 0; c < CLIENTS; c++)
        models[c] = (struct model){100, 400, START_US};
    uint64_t seed = 9;
    unsigned counts[3] = {0}, doubtful = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned c = (unsigned)(test_random(&seed) % CLIENTS);
        c = c * c / CLIENTS; // some ask more than others
        bench.now_us += test_random(&seed) % 10000 < 2 ? test_random(&seed) % SECOND_US : 20;
        struct model *m = &models[c];
        double passed = (double)(bench.now_us - m->at_us) / SECOND_US;
        m->tokens = m->tokens + passed * 100 < 100 ? m->tokens + passed * 100 : 100;
        m->flood = m->flood + passed * 400 < 400 ? m->flood + passed * 400 : 400;
        m->at_us = bench.now_us;
        struct address from = {.ip = {192, 0, 2, (uint8_t)c}, .port = 99, .family = ADDRESS_IPV4};
        enum quota_verdict verdict = quota_query(&bench.quota, bench.now_us, &from, false);
        enum quota_verdict wanted = m->tokens >= 1  ? QUOTA_ALL
                                    : m->flood >= 1 ? QUOTA_HITS_ONLY
                                                    : QUOTA_FLOOD;
        counts[wanted]++;
        if (verdict != wanted) {
            doubtful++;
            bool edge = (m->flood > -3 && m->flood < 5) || (m->tokens > -3 && m->tokens < 5);
            if (!edge)
                fail_msg("step %u: %d, wanted %d (%.1f, %.1f)", i, verdict, wanted, m->tokens,
                         m->flood);
        }
        m->flood -= verdict == QUOTA_HITS_ONLY;
        m->tokens -= verdict == QUOTA_ALL;
    }
    for (unsigned v = 0; v < 3; v++)
        assert_in_range(counts[v], STEPS / 100, STEPS);
    assert_in_range(doubtful, 0, STEPS / 20);
    free(bench.memory);
}

static void test_time_that_runs_over(void **state)
{
    (void)state;
    struct bench bench = bench_of(&usual);
    struct address from = client("192.0.2.1", 4000);
    unsigned counts[3];
    bench.now_us = ((uint64_t)UINT32_MAX << 10) - 5 * SECOND_US;
    ask(&bench, &from, 1000, 10, counts);
    assert_near(counts[QUOTA_ALL], 100 * 10 + 100, 0.02);
    assert_near(counts[QUOTA_FLOOD], 10000 - 500 * 10 - 500, 0.02);
    free(bench.memory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_states_by_rate),
        cmocka_unit_test(test_rates_from_one_to_a_million),
        cmocka_unit_test(test_networks_are_counted_apart),
        cmocka_unit_test(test_prefix_lengths),
        cmocka_unit_test(test_what_is_proven_has_its_own_bucket),
        cmocka_unit_test(test_the_same_answers_are_counted_by_kind_and_network),
        cmocka_unit_test(test_workers_share_the_rate),
        cmocka_unit_test(test_a_full_line_gives_up_the_least_recent),
        cmocka_unit_test(test_random_clients_match_a_model),
        cmocka_unit_test(test_time_that_runs_over),
    };
    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
