// SPDX-License-Identifier: MIT
#include "io/edge/cookie_file.h"

#include "io/engine/cookie_source.h"
#include "tests/unit/packet.h"

#include <errno.h>
#include <unistd.h>

#define SECRET_A "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_B "445536bcd2513298075a5d379663c962"

static const struct row {
    const char *name;
    const char *text;
    uint32_t count; // of secrets; 0: the file is refused
    const char *why;
} rows[] = {
    {"one secret", SECRET_A "\n", 1, NULL},
    {"one secret without an end of its line", SECRET_A, 1, NULL},
    {"two secrets", SECRET_A "\n" SECRET_B "\n", 2, NULL},
    {"capital digits and another system's ends of lines",
     "E5E973E5A6B2A43F48E7DC849E37BFCF\r\n" SECRET_B "\r\n", 2, NULL},
    {"comments and empty lines", "# of the fleet\n\n" SECRET_A "\n\n# before\n" SECRET_B "\n\n", 2,
     NULL},
    {"no secret", "# none\n\n", 0, "holds no secret: give 32 hexadecimal digits"},
    {"nothing", "", 0, "holds no secret: give 32 hexadecimal digits"},
    {"three secrets", SECRET_A "\n" SECRET_B "\n\n" SECRET_A "\n", 0,
     ":4: a third secret: give the current one and at most the one before it"},
    {"a digit too few", SECRET_A "\ne5e973e5a6b2a43f48e7dc849e37bfc\n", 0,
     ":2: a secret has 32 hexadecimal digits, and here are fewer"},
    {"a digit too many", "\n" SECRET_A "0\n", 0,
     ":2: a secret has 32 hexadecimal digits, and here are more"},
    {"a longer secret", SECRET_A SECRET_A "\n", 0,
     ":1: a secret has 32 hexadecimal digits, and here are more"},
    {"a very long line",
     SECRET_A SECRET_A SECRET_A SECRET_A SECRET_A SECRET_A SECRET_A SECRET_A SECRET_A "\n", 0,
     ":1: a secret has 32 hexadecimal digits, and here are more"},
    {"no digit", "# one\ng5e973e5a6b2a43f48e7dc849e37bfcf\n", 0,
     ":2: this is no hexadecimal digit"},
    {"a space before it", " " SECRET_A "\n", 0, ":1: this is no hexadecimal digit"},
    {"a word", "secret\n", 0, ":1: this is no hexadecimal digit"},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct cookie_source source;
    char path[] = "/tmp/ouzel-cookies-XXXXXX", why[COOKIE_FILE_WHY_SIZE] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, row->text, strlen(row->text)), strlen(row->text));
    close(fd);
    int error = cookie_file_read(path, &source, why);
    unlink(path);
    assert_int_equal(error, row->count > 0 ? 0 : -EINVAL);
    if (row->count == 0) {
        if (!strstr(why, row->why) || strncmp(why, path, strlen(path)) != 0)
            fail_msg("it says: %s", why);
        assert_null(strstr(why, "e5e973"));
        return;
    }
    assert_int_equal(source.count, row->count);
    assert_int_equal(source.period_s, 0);
    assert_packet(source.keys[0], SIPHASH_KEY_LEN, SECRET_A);
    if (row->count == 2)
        assert_packet(source.keys[1], SIPHASH_KEY_LEN, SECRET_B);
}

static void test_no_file(void **state)
{
    (void)state;
    struct cookie_source source;
    char why[COOKIE_FILE_WHY_SIZE];
    assert_int_equal(cookie_file_read("/nowhere/at/all", &source, why), -ENOENT);
    assert_string_equal(why, "cannot read /nowhere/at/all: No such file or directory");
    assert_int_equal(cookie_file_read("/", &source, why), -EISDIR);
    assert_string_equal(why, "cannot read /: Is a directory");
}

static void test_drawn_ones_differ_and_change_daily(void **state)
{
    (void)state;
    struct cookie_source one, other;
    assert_int_equal(cookie_source_draw(&one), 0);
    assert_int_equal(cookie_source_draw(&other), 0);
    assert_memory_not_equal(one.keys[0], other.keys[0], SIPHASH_KEY_LEN);
    assert_int_equal(one.period_s, 86400);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_no_file),
    cmocka_unit_test(test_drawn_ones_differ_and_change_daily),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_row, rows, sizeof *rows, COUNT_OF(rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("cookie file", tests, NULL, NULL);
}
