// SPDX-License-Identifier: MIT
#include "io/daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// A filter is for ever, so each test is a child. It ends with 0, with NO_FILTER where this build or
// this kernel has none, or with the place in the code or the table where something was wrong.

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum { NO_FILTER = 255 };

// Arguments with which the call would do nothing even if it was let through.
static const struct {
    const char *name;
    long number;
    long arguments[3];
    int error;
} forbidden[] = {
    {"ptrace", SYS_ptrace, {-1}, EPERM},
    {"process_vm_readv", SYS_process_vm_readv, {0}, EPERM},
    {"process_vm_writev", SYS_process_vm_writev, {0}, EPERM},
    {"mount", SYS_mount, {0}, EPERM},
    {"umount2", SYS_umount2, {0}, EPERM},
    {"fsopen", SYS_fsopen, {0}, EPERM},
    {"move_mount", SYS_move_mount, {-1}, EPERM},
    {"pivot_root", SYS_pivot_root, {0}, EPERM},
    {"chroot", SYS_chroot, {0}, EPERM},
    {"unshare", SYS_unshare, {0}, EPERM},
    {"setns", SYS_setns, {-1}, EPERM},
    {"clone with a namespace", SYS_clone, {CLONE_NEWUSER | CLONE_THREAD}, EPERM},
    {"clone3", SYS_clone3, {0}, ENOSYS},
    {"kexec_load", SYS_kexec_load, {0, 99}, EPERM},
    {"bpf", SYS_bpf, {-1}, EPERM},
    {"init_module", SYS_init_module, {0}, EPERM},
    {"finit_module", SYS_finit_module, {-1}, EPERM},
    {"delete_module", SYS_delete_module, {0}, EPERM},
    {"keyctl", SYS_keyctl, {-1}, EPERM},
    {"add_key", SYS_add_key, {0}, EPERM},
    {"request_key", SYS_request_key, {0}, EPERM},
    {"perf_event_open", SYS_perf_event_open, {0}, EPERM},
    {"userfaultfd", SYS_userfaultfd, {-1}, EPERM},
    {"reboot", SYS_reboot, {0}, EPERM},
    {"swapon", SYS_swapon, {0}, EPERM},
    {"swapoff", SYS_swapoff, {0}, EPERM},
    {"settimeofday", SYS_settimeofday, {0}, EPERM},
    {"clock_settime", SYS_clock_settime, {-1}, EPERM},
    {"clock_adjtime", SYS_clock_adjtime, {-1}, EPERM},
    {"adjtimex", SYS_adjtimex, {0}, EPERM},
    {"personality", SYS_personality, {0xffffffff}, EPERM},
    {"sethostname", SYS_sethostname, {0, -1}, EPERM},
    {"acct", SYS_acct, {1}, EPERM},
    {"setuid", SYS_setuid, {-1}, EPERM},
    {"setgid", SYS_setgid, {-1}, EPERM},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1}, EPERM},
    {"mknodat", SYS_mknodat, {-1}, EPERM},
    {"symlinkat", SYS_symlinkat, {0}, EPERM},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1}, EPERM},
    {"a packet socket", SYS_socket, {AF_PACKET, SOCK_RAW}, EPERM},
    {"a netlink socket", SYS_socket, {AF_NETLINK, SOCK_RAW}, EPERM},
    {"a pair of another family", SYS_socketpair, {AF_INET, SOCK_STREAM}, EPERM},
    {"typing at a terminal", SYS_ioctl, {-1, TIOCSTI}, EPERM},
    {"a call of the future", 4000, {0}, EPERM},
};

// In the child: limits itself as the daemon does.
static void enter(bool io_uring)
{
    char why[SANDBOX_WHY_SIZE] = "";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(__LINE__ & 127);
    int error = sandbox_enter(io_uring, false, why);
    if (error < 0)
        _exit(*why ? NO_FILTER : __LINE__ & 127);
}

static int in_child(bool io_uring, void (*run)(void))
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        enter(io_uring);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_FILTER)
        skip();
    return WEXITSTATUS(status);
}

static void calls_forbidden(void)
{
    for (size_t i = 0; i < COUNT_OF(forbidden); i++) {
        const long *a = forbidden[i].arguments;
        errno = 0;
        if (syscall(forbidden[i].number, a[0], a[1], a[2], 0, 0, 0) != -1 ||
            errno != forbidden[i].error)
            _exit((int)i + 1);
    }
}

static void test_other_calls_fail(void **state)
{
    (void)state;
    int place = in_child(true, calls_forbidden);
    if (place > 0)
        fail_msg("%s is let through", forbidden[place - 1].name);
}

static void *nothing(void *context)
{
    // A thread is limited as the one that started it.
    return syscall(SYS_unshare, 0) == -1 && errno == EPERM ? context : NULL;
}

#define MUST(condition)            \
    do {                           \
        if (!(condition))          \
            _exit(__LINE__ & 127); \
    } while (0)

static void calls_allowed(void)
{
    int fds[2], status, fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    pthread_t thread;
    void *result = NULL;
    char octet;
    MUST(fd >= 0 && read(fd, &octet, 1) == 1 && close(fd) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    MUST(send(fds[0], "x", 1, 0) == 1 && recv(fds[1], &octet, 1, 0) == 1);
    MUST(socket(AF_INET, SOCK_DGRAM, 0) >= 0 &&
         (socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno != EPERM));
    MUST((fd = memfd_create("x", MFD_CLOEXEC)) >= 0 && ftruncate(fd, 4096) == 0);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(page != MAP_FAILED && madvise(page, 4096, MADV_DONTNEED) == 0);
    MUST(munmap(page, 4096) == 0);
    MUST(pthread_create(&thread, NULL, nothing, &octet) == 0);
    MUST(pthread_join(thread, &result) == 0 && result == &octet);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(7);
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void test_what_the_daemon_needs_goes_on(void **state)
{
    (void)state;
    assert_int_equal(in_child(true, calls_allowed), 0);
}

// Another program is started under the same filter, and has one of its own.
static void program_start(void)
{
    char why[SANDBOX_WHY_SIZE];
    int status;
    MUST(sandbox_enter(true, false, why) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "read -r line </proc/self/stat && [ -n \"$line\" ]", NULL);
        _exit(99);
    }
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    calls_forbidden();
    calls_allowed();
}

static void test_a_program_can_be_started_and_limited_again(void **state)
{
    (void)state;
    assert_int_equal(in_child(true, program_start), 0);
}

static bool is_forbidden(long number, long first)
{
    return syscall(number, first, 0, 0, 0, 0, 0) == -1 && errno == EPERM;
}

static void io_uring_allowed(void)
{
    MUST(!is_forbidden(SYS_io_uring_enter, -1) && !is_forbidden(SYS_io_uring_register, -1));
    MUST(is_forbidden(SYS_recvmmsg, -1) && is_forbidden(SYS_sendmmsg, -1));
}

static void epoll_allowed(void)
{
    MUST(is_forbidden(SYS_io_uring_setup, 0) && is_forbidden(SYS_io_uring_enter, -1) &&
         is_forbidden(SYS_io_uring_register, -1));
    MUST(!is_forbidden(SYS_recvmmsg, -1) && !is_forbidden(SYS_sendmmsg, -1));
}

static void test_each_engine_has_its_own_calls(void **state)
{
    (void)state;
    assert_int_equal(in_child(true, io_uring_allowed), 0);
    assert_int_equal(in_child(false, epoll_allowed), 0);
    assert_int_equal(in_child(false, calls_allowed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_calls_fail),
        cmocka_unit_test(test_what_the_daemon_needs_goes_on),
        cmocka_unit_test(test_each_engine_has_its_own_calls),
        cmocka_unit_test(test_a_program_can_be_started_and_limited_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
