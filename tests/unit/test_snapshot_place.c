// SPDX-License-Identifier: MIT
#include "io/edge/snapshot_place.h"
#include "io/edge/snapshot_read.h"
#include "io/edge/snapshot_write.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S 1000

static char directory[] = "/tmp/ouzel-place-XXXXXX";
static char path[64], begun[64], other[64];

static void file_write(const char *at, const char *bytes, size_t len)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void put_text(const char *at)
{
    file_write(at, "# a file of some user \n", 23);
}

static void put_short(const char *at)
{
    file_write(at, "ouzels", 6);
}

static void put_nothing(const char *at)
{
    file_write(at, "", 0);
}

static void put_old_snapshot(const char *at)
{
    file_write(at, "ouzelsnp\1\0\0\0 and so on", 22);
}

static void put_zeros(const char *at)
{
    file_write(at, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
}

static void put_link(const char *at)
{
    put_old_snapshot(other);
    assert_int_equal(symlink(other, at), 0);
}

static void put_dangling_link(const char *at)
{
    assert_int_equal(symlink("nothing", at), 0);
}

static void put_pipe(const char *at)
{
    assert_int_equal(mkfifo(at, 0600), 0);
}

static void put_directory(const char *at)
{
    assert_int_equal(mkdir(at, 0700), 0);
}

static void put_socket(const char *at)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void put_device(const char *at)
{
    if (geteuid() != 0 || mknod(at, S_IFCHR | 0600, makedev(1, 3)) != 0) // as /dev/null
        skip();
}

static void put_snapshot_of_another(const char *at)
{
    put_old_snapshot(at);
    if (geteuid() != 0 || chown(at, 1, 1) != 0 || seteuid(2) != 0)
        skip();
}

static const struct row {
    const char *name;
    void (*put)(const char *at);
    const char *done;  // what is wrong with it under the snapshot's own name; NULL: nothing
    const char *begun; // ... and with the suffix
} rows[] = {
    {"an empty file", put_nothing, NULL, NULL},
    {"a snapshot of an older version", put_old_snapshot, NULL, NULL},
    {"a file of zeros", put_zeros, "is no snapshot of ouzel", NULL},
    {"a file of text", put_text, "is no snapshot of ouzel", "is no snapshot of ouzel"},
    {"a file too short to tell", put_short, "is no snapshot of ouzel", "is no snapshot of ouzel"},
    {"a link to a snapshot", put_link, "is a link", "is a link"},
    {"a link to nothing", put_dangling_link, "is a link", "is a link"},
    {"a pipe", put_pipe, "is no regular file", "is no regular file"},
    {"a directory", put_directory, "is a directory", "is a directory"},
    {"a socket", put_socket, "is no regular file", "is no regular file"},
    {"a device", put_device, "is no regular file", "is no regular file"},
};

static void all_remove(void)
{
    const char *paths[] = {path, begun, other};
    for (size_t i = 0; i < 3; i++) {
        if (unlink(paths[i]) != 0)
            (void)rmdir(paths[i]);
    }
}

static void assert_refused(const struct cache *cache, const char *fault, int error, const char *at,
                           const struct stat *before)
{
    char why[SNAPSHOT_WHY_SIZE] = "";
    struct snapshot_result result;
    struct stat after;
    assert_false(snapshot_place_check(path, why));
    assert_non_null(strstr(why, fault));
    assert_int_equal(snapshot_write(cache, path, NOW_S, &result, why), error);
    assert_non_null(strstr(why, fault));
    assert_int_equal(lstat(at, &after), 0);
    assert_int_equal(after.st_ino, before->st_ino);
    assert_int_equal(after.st_size, before->st_size);
    assert_int_equal(after.st_mode, before->st_mode);
}

static void assert_place(const struct row *row, const char *at, const char *fault)
{
    struct cache cache;
    struct snapshot_result result;
    struct stat before;
    char why[SNAPSHOT_WHY_SIZE] = "";
    void *region = aligned_alloc(4096, 1 << 20);
    assert_int_equal(cache_format(&cache, region, 1 << 20, 1, 1), 0);
    all_remove();
    row->put(at);
    assert_int_equal(lstat(at, &before), 0);
    if (fault) {
        assert_refused(&cache, fault, -EEXIST, at, &before);
    } else {
        assert_true(snapshot_place_check(path, why));
        assert_int_equal(snapshot_write(&cache, path, NOW_S, &result, why), 0);
        assert_int_equal(access(begun, F_OK), -1);
    }
    all_remove();
    free(region);
}

static void test_row(void **state)
{
    const struct row *row = *state;
    assert_place(row, path, row->done);
    assert_place(row, begun, row->begun);
}

// The writer is not root, and the file there belongs to a third user.
static void test_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    all_remove();
    assert_int_equal(chmod(directory, 0777), 0);
    put_snapshot_of_another(path);
    assert_int_equal(chmod(path, 0644), -1); // not even that may be done to it
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    const char *fault = snapshot_place_fault(fd, strrchr(path, '/') + 1, SNAPSHOT_PLACE_DONE);
    close(fd);
    assert_int_equal(seteuid(0), 0);
    all_remove();
    assert_non_null(fault);
}

static int directory_make(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/cache", directory);
    snprintf(begun, sizeof begun, "%s/cache.new", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    return 0;
}

static int directory_remove(void **state)
{
    (void)state;
    all_remove();
    return rmdir(directory);
}

// A caller that no longer waits has the cache back, whenever the read continues.
static void test_gate_that_is_closed(void **state)
{
    (void)state;
    struct cache cache;
    struct snapshot_result result;
    struct snapshot_gate gate;
    char why[SNAPSHOT_WHY_SIZE] = "";
    void *region = aligned_alloc(4096, 1 << 20);
    assert_int_equal(cache_format(&cache, region, 1 << 20, 1, 1), 0);
    all_remove();
    assert_int_equal(snapshot_write(&cache, path, NOW_S, &result, why), 0);
    snapshot_gate_init(&gate);
    assert_int_equal(snapshot_read(&cache, path, NOW_S, &gate, &result, why), 0);
    snapshot_gate_close(&gate, &cache);
    assert_int_equal(snapshot_read(&cache, path, NOW_S, &gate, &result, why), -ECANCELED);
    all_remove();
    free(region);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 2] = {cmocka_unit_test(test_of_another_user),
                                         cmocka_unit_test(test_gate_that_is_closed)};
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 2] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = test_row,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
