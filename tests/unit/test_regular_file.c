// SPDX-License-Identifier: MIT
#include "io/edge/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const struct row {
    const char *name;
    const char *contents, *read;
} rows[] = {
    {"plain", "nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n"},
    {"empty", "", ""},
    {"short", "a", "a"},
    {"with a byte order mark",
     "\xef\xbb\xbf"
     "a.example\n",
     "a.example\n"},
    {"of a byte order mark alone", "\xef\xbb\xbf", ""},
    {"with half a byte order mark", "\xef\xbb", "\xef\xbb"},
    {"with two",
     "\xef\xbb\xbf\xef\xbb\xbf"
     "a",
     "\xef\xbb\xbf"
     "a"},
};

static void test_contents(void **state)
{
    const struct row *row = *state;
    char path[] = "/tmp/ouzel-regular-XXXXXX", got[64];
    int fd = mkstemp(path);
    size_t len = strlen(row->contents);
    assert_int_equal(write(fd, row->contents, len), len);
    close(fd);
    fd = regular_file_open(path);
    unlink(path);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ssize_t read_len = read(fd, got, sizeof got);
    close(fd);
    assert_int_equal(read_len, strlen(row->read));
    assert_memory_equal(got, row->read, (size_t)read_len);
}

static void assert_refused(const char *path, int error, const char *words)
{
    assert_int_equal(regular_file_open(path), error);
    assert_string_equal(regular_file_error(error), words);
}

// None of these blocks.
static void test_what_is_no_regular_file(void **state)
{
    (void)state;
    char directory[] = "/tmp/ouzel-regular-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/it", directory);
    const char *path = address.sun_path;
    assert_refused(path, -ENOENT, "No such file or directory");
    assert_refused(directory, -EISDIR, "Is a directory");
    assert_refused("/dev/null", REGULAR_FILE_NOT, "it is no regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, REGULAR_FILE_NOT, "it is no regular file");
    int writer = open(path, O_RDWR);
    assert_refused(path, REGULAR_FILE_NOT, "it is no regular file");
    close(writer);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_refused(path, REGULAR_FILE_NOT, "it is no regular file");
    close(fd);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 1] = {cmocka_unit_test(test_what_is_no_regular_file)};
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 1] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = test_contents,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
