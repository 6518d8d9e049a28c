// SPDX-License-Identifier: MIT
#include "core/policy/hosts.h"

#include "tests/unit/packet.h"

static const struct row {
    const char *name;  // the line
    const char *takes; // names with spaces between
    const char *reverse;
    const char *why; // NULL: all is well
} rows[] = {
    {"192.0.2.9 printer", "printer.", "9.2.0.192.in-addr.arpa.", NULL},
    {"\t192.0.2.255  Printer.LAN\tp p2. \r", "printer.lan. p. p2.", "255.2.0.192.in-addr.arpa.",
     NULL},
    {"10.100.0.1 a# b", "a.", "1.0.100.10.in-addr.arpa.", NULL},
    {"2001:db8::9 a", "a.",
     "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", NULL},
    {"fe80::ab a", "a.",
     "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa.", NULL},
    {"", "", NULL, NULL},
    {"  # 192.0.2.9 a", "", NULL, NULL},
    {"192.0.2.9", "", NULL, "an address without a name"},
    {"192.0.2.9 # a", "", NULL, "an address without a name"},
    {"a 192.0.2.9", "", NULL, "not an IP address"},
    {"192.0.2.0/24 a", "", NULL, "not an IP address"},
    {"fe80::1%lo0 a", "", NULL, "not an IP address"},
    {"192.0.2.9 a..b", "", NULL, "not a domain name"},
    {"192.0.2.9 a .", "a.", NULL, "not a domain name"},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct hosts_reading reading;
    struct name name;
    char takes[NAME_TEXT_SIZE] = "", text[NAME_TEXT_SIZE];
    size_t len = strlen(row->name);
    uint8_t *line = exact_copy((const uint8_t *)row->name, len);
    enum hosts_line verdict = hosts_line_read(&reading, (const char *)line, len);
    bool empty = verdict == HOSTS_LINE_EMPTY;
    while (verdict == HOSTS_LINE_TAKEN) {
        verdict = hosts_name_next(&reading, &name);
        if (verdict != HOSTS_LINE_TAKEN)
            break;
        name_format(&name, text);
        strcat(takes, *takes ? " " : "");
        strcat(takes, text);
    }
    free(line);
    assert_string_equal(takes, row->takes);
    assert_int_equal(verdict, row->why ? HOSTS_LINE_BAD : HOSTS_LINE_EMPTY);
    if (row->why)
        assert_string_equal(reading.why, row->why);
    assert_int_equal(empty, !row->why && *row->takes == '\0');
    if (!row->reverse)
        return;
    reverse_name(&name, &reading.address);
    name_format(&name, text);
    assert_string_equal(text, row->reverse);
}

static void test_long_line_is_bad(void **state)
{
    (void)state;
    static char line[HOSTS_LINE_MAX + 1];
    struct hosts_reading reading;
    memset(line, 'a', sizeof line);
    memcpy(line, "192.0.2.1 ", 10);
    assert_int_equal(hosts_line_read(&reading, line, sizeof line - 1), HOSTS_LINE_TAKEN);
    assert_int_equal(hosts_line_read(&reading, line, sizeof line), HOSTS_LINE_BAD);
    assert_string_equal(reading.why, "the line is too long");
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + 1] = {cmocka_unit_test(test_long_line_is_bad)};
    size_t count = 1 + tests_of_rows(tests + 1, test_row, rows, sizeof *rows, COUNT_OF(rows));
    return _cmocka_run_group_tests("hosts", tests, count, NULL, NULL);
}
