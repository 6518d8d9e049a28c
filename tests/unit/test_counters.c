// SPDX-License-Identifier: MIT
#include "core/settings/counters.h"

#include "tests/unit/packet.h"

static bool word_of(const char *text, size_t len, const char *more)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9' && i > 0);
        if (!letter && !strchr(more, c))
            return false;
    }
    return len > 0;
}

// name="value", once: JSON has one member for each value. It needs no escapes.
static bool labels_good(const char *labels)
{
    if (*labels == '\0')
        return true;
    const char *equals = strchr(labels, '=');
    if (!equals || equals[1] != '"' || !word_of(labels, (size_t)(equals - labels), ""))
        return false;
    const char *end = strchr(equals + 2, '"');
    return end && end[1] == '\0' && word_of(equals + 2, (size_t)(end - equals) - 2, "-");
}

static void test_labels_good_knows_bad_ones(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a",       "a=",        "a=b",     "a=\"b",    "=\"b\"",          "a=\"\"",    "a=\"b\",",
        "A=\"b\"", "{a=\"b\"}", "1=\"b\"", "a=\"b\"c", "a=\"b\";c=\"d\"", "a=\"\\\"\""};
    assert_true(labels_good(""));
    assert_true(labels_good("a=\"b\""));
    assert_true(labels_good("a_b=\"b-c\""));
    assert_false(labels_good("a=\"b\",c=\"d\""));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(labels_good(bad[i]));
}

static void test_every_row_is_filled_and_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *d = &counter_descriptions[i];
        assert_non_null(d->metric);
        assert_int_equal(strncmp(d->metric, "ouzel_", 6), 0);
        assert_true(word_of(d->metric, strlen(d->metric), ""));
        size_t len = strlen(d->metric);
        bool total = len > 6 && strcmp(d->metric + len - 6, "_total") == 0;
        if (total == d->gauge)
            fail_msg("%s: _total is for counters, and for all of them", d->metric);
        if (!labels_good(d->labels))
            fail_msg("%s: labels %s", d->metric, d->labels);
    }
}

static void test_rows_of_a_metric_stand_together_and_the_first_has_the_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *d = &counter_descriptions[i];
        bool first = i == 0 || strcmp(d[-1].metric, d->metric) != 0;
        if (first != (d->help[0] != '\0'))
            fail_msg("%s{%s}: the help belongs to the first row", d->metric, d->labels);
        for (size_t k = 0; first && k < i; k++)
            assert_string_not_equal(counter_descriptions[k].metric, d->metric);
        if (!first)
            assert_int_equal(d[-1].gauge, d->gauge);
        size_t len = strlen(d->help);
        assert_true(len == 0 || d->help[len - 1] == '.');
        // Prometheus would need these escaped.
        assert_null(strpbrk(d->help, "\\\n"));
    }
}

static bool same_label(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");
    return len == strcspn(b, "=") && strncmp(a, b, len) == 0;
}

static void test_no_two_rows_are_the_same_series(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct counter_description *a = &counter_descriptions[i];
            const struct counter_description *b = &counter_descriptions[k];
            bool same = strcmp(a->metric, b->metric) == 0;
            assert_false(same && strcmp(a->labels, b->labels) == 0);
            // The rows of a metric have the same label, or none.
            if (same)
                assert_true(same_label(a->labels, b->labels));
        }
    }
}

// A former name is as good as any name, belongs to no other metric, and its rows stand together.
static void test_former_names_are_series_of_their_own(void **state)
{
    (void)state;
    size_t renamed = 0;
    const char *before = "";
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *d = &counter_descriptions[i];
        if (!d->former) {
            assert_null(d->former_labels);
            continue;
        }
        renamed++;
        assert_int_equal(strncmp(d->former, "ouzel_", 6), 0);
        assert_true(word_of(d->former, strlen(d->former), ""));
        assert_true(labels_good(counter_former_labels(d)));
        for (size_t k = 0; k < COUNTER_COUNT; k++) {
            const struct counter_description *other = &counter_descriptions[k];
            assert_string_not_equal(d->former, other->metric);
            if (k >= i || !other->former || strcmp(d->former, other->former) != 0)
                continue;
            assert_string_equal(before, d->former); // of the renamed row just before
            assert_string_equal(other->metric, d->metric);
            assert_int_equal(other->gauge, d->gauge);
            assert_string_not_equal(counter_former_labels(other), counter_former_labels(d));
            assert_true(same_label(counter_former_labels(other), counter_former_labels(d)));
        }
        before = d->former;
    }
    assert_true(renamed > 0);
    const struct counter_description *log = &counter_descriptions[COUNTER_answers_logged];
    assert_string_equal(log->former, "ouzel_tapped_total");
    assert_string_equal(counter_former_labels(log), "verdict=\"told\"");
    assert_string_equal(counter_former_labels(&counter_descriptions[COUNTER_ports]), "");
}

static void test_counters_count(void **state)
{
    (void)state;
    struct counters counters = {0};
    assert_int_equal((uintptr_t)&counters % 64, 0);
    assert_int_equal(sizeof counters % 64, 0); // two workers share no line
    counter_add(&counters, COUNTER_queries, 5);
    counter_add(&counters, COUNTER_queries, 0);
    counter_add(&counters, COUNTER_queries, UINT32_MAX);
    assert_true(counter_get(&counters, COUNTER_queries) == (uint64_t)UINT32_MAX + 5);
    counter_set(&counters, COUNTER_pending, 7);
    counter_set(&counters, COUNTER_pending, 3);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        if (i != COUNTER_queries)
            assert_int_equal(counter_get(&counters, i), i == COUNTER_pending ? 3 : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_good_knows_bad_ones),
        cmocka_unit_test(test_every_row_is_filled_and_well_formed),
        cmocka_unit_test(test_rows_of_a_metric_stand_together_and_the_first_has_the_help),
        cmocka_unit_test(test_no_two_rows_are_the_same_series),
        cmocka_unit_test(test_former_names_are_series_of_their_own),
        cmocka_unit_test(test_counters_count),
    };
    return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
