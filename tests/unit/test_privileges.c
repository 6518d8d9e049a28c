// SPDX-License-Identifier: MIT
#include "io/daemon/privileges.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

// What lies at the path of the control socket by the time it is given to the user.
enum put { PUT_SOCKET, PUT_OTHER_SOCKET, PUT_LINK, PUT_HARD_LINK, PUT_FILE, PUT_NOTHING };

static const struct row {
    const char *name;
    enum put put;
    int error;
} rows[] = {
    {"the socket that was made", PUT_SOCKET, 0},
    {"another socket of root's", PUT_OTHER_SOCKET, -EPERM},
    {"a link to a file of root's", PUT_LINK, -EPERM},
    {"a second name of a socket of root's", PUT_HARD_LINK, -EPERM},
    {"a file", PUT_FILE, -EPERM},
    {"nothing", PUT_NOTHING, -ENOENT},
};

static void socket_make(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void file_make(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static uid_t owner_of(const char *path)
{
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat.st_uid;
}

static void test_given(void **state)
{
    const struct row *row = *state;
    char directory[] = "/tmp/ouzel-privileges-XXXXXX", path[64], victim[64];
    if (geteuid() != 0)
        skip(); // only root can give
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/control", directory);
    snprintf(victim, sizeof victim, "%s/victim", directory);
    if (row->put == PUT_HARD_LINK)
        socket_make(victim);
    else
        file_make(victim);
    if (row->put == PUT_SOCKET || row->put == PUT_OTHER_SOCKET)
        socket_make(path);
    else if (row->put == PUT_LINK)
        assert_int_equal(symlink(victim, path), 0);
    else if (row->put == PUT_HARD_LINK)
        assert_int_equal(link(victim, path), 0);
    else if (row->put == PUT_FILE)
        file_make(path);
    struct file_mark made = file_mark_of(path);
    if (row->put == PUT_OTHER_SOCKET)
        made.inode++;
    int error = privileges_give("nobody", path, &made);
    uid_t victims = owner_of(victim);
    uid_t given = row->put == PUT_NOTHING ? 0 : owner_of(path);
    unlink(path);
    unlink(victim);
    rmdir(directory);
    assert_int_equal(error, row->error);
    assert_int_equal(victims, 0);
    assert_int_equal(given != 0, row->error == 0);
}

static void test_to_nobody(void **state)
{
    (void)state;
    assert_int_equal(privileges_give("", "/nowhere/at/all", &(struct file_mark){0}), 0);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 1] = {cmocka_unit_test(test_to_nobody)};
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 1] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = test_given,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
