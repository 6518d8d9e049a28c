// SPDX-License-Identifier: MIT
#include "io/daemon/counted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void apply(struct counters *counters, const char *lines)
{
    static struct packet packet = {.kind = PACKET_COUNTED};
    packet.len = strlen(lines);
    memcpy(packet.bytes, lines, packet.len);
    counted_apply(counters, &packet);
}

static void test_lines_are_added(void **state)
{
    (void)state;
    struct counters counters = {0};
    apply(&counters, "ouzel_queries_total|transport=\"udp\"|5\nouzel_truncated_total||2\n");
    apply(&counters, "ouzel_queries_total|transport=\"udp\"|1\nouzel_queries_total|x=\"y\"|9\n"
                     "ouzel_unknown_total||7\ntiming|0:3|4\ntiming|99:3|4\n");
    assert_int_equal(counters.values[COUNTER_queries], 6);
    assert_int_equal(counters.values[COUNTER_queries_tcp], 0);
    assert_int_equal(counters.values[COUNTER_truncated], 2);
    assert_int_equal(counters.timings[0].counts[3], 4);
}

// A predecessor that knows a metric by its former name loses no counts.
static void test_former_names_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *row = &counter_descriptions[i];
        struct counters counters = {0};
        char line[256];
        if (!row->former)
            continue;
        snprintf(line, sizeof line, "%s|%s|3\n", row->former, counter_former_labels(row));
        apply(&counters, line);
        for (size_t k = 0; k < COUNTER_COUNT; k++)
            assert_int_equal(counters.values[k], k == i ? 3 : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_added),
        cmocka_unit_test(test_former_names_are_known),
    };
    return cmocka_run_group_tests_name("counted", tests, NULL, NULL);
}
