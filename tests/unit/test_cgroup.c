// SPDX-License-Identifier: MIT
#include "io/engine/cgroup.h"

#include "tests/unit/packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// A tree of files as the kernel shows them.

struct file {
    const char *path;
    const char *text;
};

#define FILES_MAX 8

struct row {
    const char *name;
    const char *proc;
    struct file files[FILES_MAX];
    struct cgroup_limits wanted;
};

static const struct row rows[] = {
    {"none", "0::/a\n", {{0}}, {0, UINT64_MAX}},
    {"no file", NULL, {{"cpu.max", "100000 100000\n"}}, {0, UINT64_MAX}},
    {"no bound",
     "0::/a\n",
     {{"a/cpu.max", "max 100000\n"}, {"a/memory.max", "max\n"}},
     {0, UINT64_MAX}},
    {"two CPUs",
     "0::/a\n",
     {{"a/cpu.max", "200000 100000\n"}, {"a/memory.max", "536870912\n"}},
     {2, 536870912}},
    {"a fraction is one more", "0::/a\n", {{"a/cpu.max", "150000 100000\n"}}, {2, UINT64_MAX}},
    {"less than one", "0::/a\n", {{"a/cpu.max", "5000 100000\n"}}, {1, UINT64_MAX}},
    {"more than can be counted", "0::/a\n", {{"a/cpu.max", "4294967297 1\n"}}, {0, UINT64_MAX}},
    {"the group above bounds more",
     "0::/a/b\n",
     {{"a/b/cpu.max", "800000 100000\n"},
      {"a/cpu.max", "300000 100000\n"},
      {"a/b/memory.max", "1000000\n"},
      {"a/memory.max", "2000000\n"}},
     {3, 1000000}},
    {"a container's own mount",
     "0::/system.slice/docker-1.scope\n",
     {{"cpu.max", "100000 100000\n"}, {"memory.max", "1000000\n"}},
     {1, 1000000}},
    {"version 1",
     "9:name=systemd:/x\n4:memory:/c\n1:cpu,cpuacct:/c\n",
     {{"cpu/c/cpu.cfs_quota_us", "250000\n"},
      {"cpu/c/cpu.cfs_period_us", "100000\n"},
      {"cpu/cpu.cfs_quota_us", "-1\n"},
      {"cpu/cpu.cfs_period_us", "100000\n"},
      {"memory/c/memory.limit_in_bytes", "4096000\n"}},
     {3, 4096000}},
    {"version 1 without a bound",
     "2:cpuacct:/c\n1:cpu:/c\n",
     {{"cpu/c/cpu.cfs_quota_us", "-1\n"}, {"cpu/c/cpu.cfs_period_us", "100000\n"}},
     {0, UINT64_MAX}},
    {"nonsense",
     "\n:\n0:\n0::\n7:cpuset,xcpu:/a\n0::/a\n",
     {{"a/cpu.max", "1 0\n"}, {"a/memory.max", "-5\n"}},
     {0, UINT64_MAX}},
};

static void file_write(const char *directory, const struct file *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, file->path);
    for (char *at = path + strlen(directory) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(file->text, out);
    fclose(out);
}

static void test_row(void **state)
{
    const struct row *row = *state;
    char directory[] = "/tmp/ouzel-cgroup-XXXXXX", command[128], proc[128];
    assert_non_null(mkdtemp(directory));
    snprintf(proc, sizeof proc, "%s/proc", directory);
    if (row->proc)
        file_write(directory, &(struct file){"proc", row->proc});
    for (size_t i = 0; i < FILES_MAX && row->files[i].path; i++)
        file_write(directory, &row->files[i]);
    struct cgroup_limits limits = cgroup_limits_read(proc, directory);
    assert_int_equal(limits.cpus, row->wanted.cpus);
    assert_int_equal(limits.memory, row->wanted.memory);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

static void test_this_process_has_a_cpu(void **state)
{
    (void)state;
    assert_in_range(cgroup_cpus(), 1, 4096);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + 1];
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = test_row,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[COUNT_OF(rows)] = (struct CMUnitTest)cmocka_unit_test(test_this_process_has_a_cpu);
    return _cmocka_run_group_tests("cgroup", tests, COUNT_OF(tests), NULL, NULL);
}
