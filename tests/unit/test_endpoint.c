// SPDX-License-Identifier: MIT
#include "core/endpoint.h"

#include "tests/unit/packet.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text, *brief, *full;
    uint8_t transport;
} good[] = {
    {"192.0.2.53", "192.0.2.53", "192.0.2.53:53", TRANSPORT_UDP},
    {"udp://192.0.2.53@5353", "192.0.2.53:5353", "192.0.2.53:5353", TRANSPORT_UDP},
    {"2001:db8::53", "2001:db8::53", "[2001:db8::53]:53", TRANSPORT_UDP},
    {"tcp://[2001:db8::53]", "tcp://[2001:db8::53]", "tcp://[2001:db8::53]:53", TRANSPORT_TCP},
    {"tls://192.0.2.53#DNS.Example.", "tls://192.0.2.53#dns.example",
     "tls://192.0.2.53:853#dns.example", TRANSPORT_DOT},
    {"tls://192.0.2.53", "tls://192.0.2.53", "tls://192.0.2.53:853", TRANSPORT_DOT},
    {"https://192.0.2.54#a", "https://192.0.2.54/dns-query#a", "https://192.0.2.54:443/dns-query#a",
     TRANSPORT_DOH},
    {"https://[2001:db8::1]:8443/q/~x#a.b", "https://[2001:db8::1]:8443/q/~x#a.b",
     "https://[2001:db8::1]:8443/q/~x#a.b", TRANSPORT_DOH},
    {"quic://192.0.2.55:8853#dns.example", "quic://192.0.2.55:8853#dns.example",
     "quic://192.0.2.55:8853#dns.example", TRANSPORT_DOQ},
    {"h3://192.0.2.55/", "h3://192.0.2.55/", "h3://192.0.2.55:443/", TRANSPORT_DOH3},
};

static enum endpoint_verdict parse(const char *text, struct endpoint *endpoint)
{
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1); // of the exact size, for the sanitizer
    assert_non_null(copy);
    memcpy(copy, text, len);
    enum endpoint_verdict verdict = endpoint_parse(endpoint, copy, len);
    free(copy);
    return verdict;
}

static void test_what_is_read_is_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct endpoint endpoint, again;
        char text[ENDPOINT_TEXT_MAX];
        assert_int_equal(parse(good[i].text, &endpoint), ENDPOINT_GOOD);
        assert_int_equal(endpoint.transport, good[i].transport);
        assert_int_equal(endpoint_format(&endpoint, true, text), strlen(good[i].brief));
        assert_string_equal(text, good[i].brief);
        assert_int_equal(parse(text, &again), ENDPOINT_GOOD);
        assert_true(endpoint_equal(&endpoint, &again));
        assert_int_equal(endpoint_format(&endpoint, false, text), strlen(good[i].full));
        assert_string_equal(text, good[i].full);
        assert_int_equal(parse(text, &again), ENDPOINT_GOOD);
        assert_true(endpoint_equal(&endpoint, &again));
    }
}

static void test_errors_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum endpoint_verdict verdict;
    } bad[] = {
        {"", ENDPOINT_NO_ADDRESS},
        {"tls://", ENDPOINT_NO_ADDRESS},
        {"dns.example", ENDPOINT_NO_ADDRESS},
        {"192.0.2.1/24", ENDPOINT_NO_ADDRESS},
        {"ftp://192.0.2.1", ENDPOINT_NO_ADDRESS},
        {"192.0.2.1#dns.example", ENDPOINT_NAME_UNUSED},
        {"tcp://192.0.2.1#dns.example", ENDPOINT_NAME_UNUSED},
        {"tls://192.0.2.1#", ENDPOINT_NAME_BAD},
        {"tls://192.0.2.1#a..b", ENDPOINT_NAME_BAD},
        {"tls://192.0.2.1#a b", ENDPOINT_NAME_BAD},
        {"tls://192.0.2.1/dns-query", ENDPOINT_PATH_UNUSED},
        {"https://192.0.2.1/a b", ENDPOINT_PATH_BAD},
        {"https://192.0.2.1/q?dns=", ENDPOINT_PATH_BAD},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct endpoint endpoint;
        assert_int_equal(parse(bad[i].text, &endpoint), bad[i].verdict);
        assert_non_null(endpoint_fault(bad[i].verdict));
    }
}

static void test_long_parts_have_bounds(void **state)
{
    (void)state;
    char text[600];
    struct endpoint endpoint;
    for (size_t labels = 1; labels < 80; labels++) {
        size_t len = (size_t)snprintf(text, sizeof text, "tls://192.0.2.1#");
        for (size_t i = 0; i < labels; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%sabcd", i ? "." : "");
        bool fits = 5 * labels - 1 <= ENDPOINT_NAME_MAX;
        assert_int_equal(parse(text, &endpoint), fits ? ENDPOINT_GOOD : ENDPOINT_NAME_BAD);
    }
    for (size_t path = 1; path < 200; path++) {
        size_t len = (size_t)snprintf(text, sizeof text, "https://192.0.2.1");
        text[len] = '/';
        memset(text + len + 1, 'x', path - 1);
        text[len + path] = '\0';
        bool fits = path <= ENDPOINT_PATH_MAX;
        assert_int_equal(parse(text, &endpoint), fits ? ENDPOINT_GOOD : ENDPOINT_PATH_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_is_written_again),
        cmocka_unit_test(test_errors_are_reported),
        cmocka_unit_test(test_long_parts_have_bounds),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
