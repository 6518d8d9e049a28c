// SPDX-License-Identifier: MIT
// The writers of JSON and of Prometheus' text format.
#include "io/edge/json.h"
#include "io/edge/prometheus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct json_layout lists = {"\n ", ",\n ", ""};

static void inline_object(struct json *j)
{
    json_object(j, NULL, &json_line);
    json_string(j, "text", "a\"b\\c\n\x7f");
    json_number(j, "count", UINT64_MAX);
    json_signed(j, "less", -1);
    json_real(j, "share", 0.25, 3);
    json_bool(j, "yes", true);
    json_bool(j, "no", false);
    json_null(j, "none");
    json_close(j);
}

static void object_of_lines(struct json *j)
{
    json_object(j, NULL, &json_lines);
    json_number(j, "a", 1);
    json_object(j, "b", &json_line);
    json_close(j);
    json_list(j, "c", &json_lines);
    json_number(j, NULL, 2);
    json_list(j, NULL, &json_line);
    json_close(j);
    json_close(j);
    json_close(j);
}

static void own_layout(struct json *j)
{
    json_list(j, NULL, &lists);
    json_number(j, NULL, 1);
    json_number(j, NULL, 2);
    json_close(j);
}

static void empty(struct json *j)
{
    json_list(j, NULL, &json_lines);
    json_close(j);
}

static const struct {
    void (*write)(struct json *json);
    const char *text;
} rows[] = {
    {inline_object, "{\"text\": \"a\\\"b\\\\c\\u000a\\u007f\", \"count\": 18446744073709551615, "
                    "\"less\": -1, \"share\": 0.250, \"yes\": true, \"no\": false, "
                    "\"none\": null}\n"},
    {object_of_lines, "{\n  \"a\": 1,\n  \"b\": {},\n  \"c\": [\n  2,\n  []\n]\n}\n"},
    {own_layout, "[\n 1,\n 2]\n"},
    {empty, "[\n]\n"},
};

static void test_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *to = open_memstream(&text, &len);
        struct json json;
        json_init(&json, to);
        rows[i].write(&json);
        fclose(to);
        assert_string_equal(text, rows[i].text);
        free(text);
        json_init(&json, NULL);
        rows[i].write(&json); // nothing, nowhere
    }
}

static void metrics_write(const struct prometheus *p)
{
    struct histogram h = {.sum_us = 0};
    histogram_add(&h, 3, 2);
    prometheus_metric(p, "m_total", METRIC_COUNTER, "Counted.");
    prometheus_number(p, "m_total", "", 1);
    prometheus_number(p, "m_total", "a=\"b\"", 2);
    prometheus_metric(p, "g", METRIC_GAUGE, "Measured.");
    prometheus_real(p, "g", "", 0.5);
    prometheus_seconds(p, "g", "a=\"b\"", 0.5);
    prometheus_metric(p, "h", METRIC_HISTOGRAM, "Times.");
    prometheus_histogram(p, "h", "a=\"b\"", &h);
}

static void test_prometheus(void **state)
{
    static const char begin[] = "# HELP m_total Counted.\n# TYPE m_total counter\nm_total 1\n"
                                "m_total{a=\"b\"} 2\n# HELP g Measured.\n# TYPE g gauge\ng 0.5\n"
                                "g{a=\"b\"} 0.500000\n# HELP h Times.\n# TYPE h histogram\n"
                                "h_bucket{a=\"b\",le=\"0.000002\"} 0\n"
                                "h_bucket{a=\"b\",le=\"0.000004\"} 2\n";
    static const char end[] = "h_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum{a=\"b\"} 0.000006\n"
                              "h_count{a=\"b\"} 2\n";
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    metrics_write(&(struct prometheus){to});
    fclose(to);
    assert_memory_equal(text, begin, strlen(begin));
    assert_true(len > strlen(end));
    assert_string_equal(text + len - strlen(end), end);
    free(text);
    metrics_write(&(struct prometheus){NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_prometheus),
    };
    return cmocka_run_group_tests_name("pens", tests, NULL, NULL);
}
