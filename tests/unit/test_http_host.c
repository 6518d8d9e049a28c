// SPDX-License-Identifier: MIT
#include "io/edge/http_host.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct host_case {
    const char *host;
    bool allowed;
} cases[] = {
    {NULL, true},
    {"192.0.2.1", true},
    {"192.0.2.1:9053", true},
    {"[2001:db8::1]:9053", true},
    {"[::1]", true},
    {"localhost", true},
    {"LocalHost:9053", true},
    {"localhost.:9053", true},
    {"ouzel.example", true},
    {"OUZEL.example.:9053", true},
    {"ouzel-2.example:80", true},
    {"", false},
    {".", false},
    {":9053", false},
    {"evil.example", false},
    {"ouzel.example.evil", false},
    {"localhost.evil.example", false},
    {"evil-localhost", false},
    {"192.0.2.1.evil.example", false},
    {"192.0.2.1evil", false},
    {"1.2.3", false},
    {"[::1", false},
    {"ouzel.exampl", false},
    {"xouzel.example", false},
};

static void test_hosts(void **state)
{
    (void)state;
    char first[] = "ouzel.example.", second[] = "Ouzel-2.example";
    struct text_item items[] = {{.text = first}, {.text = second}};
    struct text_list names = {.items = items, .count = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (http_host_allowed(cases[i].host, &names) != cases[i].allowed)
            fail_msg("the host %s", cases[i].host);
    }
}

static void test_none_listed(void **state)
{
    (void)state;
    struct text_list none = {0};
    assert_true(http_host_allowed("127.0.0.1:9053", &none));
    assert_false(http_host_allowed("ouzel.example", &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_none_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
