// SPDX-License-Identifier: MIT
#include "io/daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// What is not listed is forbidden. The list is what the daemon, liburing, libmicrohttpd, libyaml,
// jemalloc and the C library do while it runs, and what a start of the program does, as one may be
// started in place of another under the same filter. Calls that come in an old and a new form (open
// and openat) stand with both: which is used is the C library's affair. A name that this machine's
// architecture does not have is passed over by libseccomp.

static const int allowed[] = {
    // Files.
    SCMP_SYS(access),
    SCMP_SYS(chmod),
    SCMP_SYS(chown),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(lseek),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(readv),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(sendfile),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(umask),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(write),
    SCMP_SYS(writev),

    // Sockets, but for socket() itself.
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(listen),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),

    // Waiting.
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd),
    SCMP_SYS(eventfd2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pselect6),
    SCMP_SYS(select),
    SCMP_SYS(signalfd),
    SCMP_SYS(signalfd4),

    // Memory.
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mincore),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(msync),
    SCMP_SYS(munmap),

    // Time and chance.
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep),
    SCMP_SYS(time),

    // Threads and signals.
    SCMP_SYS(futex),
    SCMP_SYS(futex_waitv),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity), // of its own threads
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(tgkill),

    // The process, and another in its place: which may be told to end. Whom it may tell so is a
    // matter of its user and its capabilities.
    SCMP_SYS(arch_prctl),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
    SCMP_SYS(execve),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fork),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getgroups),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getresgid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(getuid),
    SCMP_SYS(kill),
    SCMP_SYS(prctl),
    SCMP_SYS(prlimit64),
    SCMP_SYS(seccomp),
    SCMP_SYS(setrlimit),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(vfork),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
};

// What one engine of the network alone needs.
static const int of_io_uring[] = {
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(io_uring_setup),
};
static const int of_epoll[] = {
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
};

// Calls that one argument decides on: (value & mask) must be what is given.
static const struct {
    int call;
    unsigned argument;
    uint64_t mask, value;
} allowed_with[] = {
    // clone() with a namespace would be unshare().
    {SCMP_SYS(clone), 0,
     CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
         CLONE_NEWCGROUP,
     0},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_UNIX},
    {SCMP_SYS(socketpair), 0, UINT32_MAX, AF_UNIX},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS},       // is it a terminal?
    {SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFINDEX}, // fe80::1%eth0
};

static int calls_allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return error;
}

static int rules_add(scmp_filter_ctx filter, bool io_uring)
{
    int error = calls_allow(filter, allowed, sizeof allowed / sizeof *allowed);
    if (error == 0 && io_uring)
        error = calls_allow(filter, of_io_uring, sizeof of_io_uring / sizeof *of_io_uring);
    if (error == 0 && !io_uring)
        error = calls_allow(filter, of_epoll, sizeof of_epoll / sizeof *of_epoll);
    for (size_t i = 0; i < sizeof allowed_with / sizeof *allowed_with && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_with[i].call, 1,
                                 SCMP_CMP64(allowed_with[i].argument, SCMP_CMP_MASKED_EQ,
                                            allowed_with[i].mask, allowed_with[i].value));
    // Its flags lie in memory, where no filter can look. Told that there is no such call, the C
    // library takes clone() instead.
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return error;
}

// Calls that one argument decides on, of the XDP plane alone. No program is loaded any more, nor
// any map made: both need capabilities that are given up.
static const struct {
    int call;
    unsigned argument;
    uint64_t value;
} of_plane[] = {
    {SCMP_SYS(bpf), 0, BPF_MAP_LOOKUP_ELEM},    {SCMP_SYS(bpf), 0, BPF_MAP_UPDATE_ELEM},
    {SCMP_SYS(bpf), 0, BPF_MAP_DELETE_ELEM},    {SCMP_SYS(bpf), 0, BPF_MAP_GET_NEXT_KEY},
    {SCMP_SYS(bpf), 0, BPF_OBJ_GET_INFO_BY_FD}, {SCMP_SYS(bpf), 0, BPF_LINK_CREATE},
    {SCMP_SYS(ioctl), 1, SIOCGIFHWADDR},        {SCMP_SYS(ioctl), 1, SIOCGIFMTU},
    {SCMP_SYS(ioctl), 1, SIOCETHTOOL}, // to read; to change anything needs a capability
};

static int plane_rules_add(scmp_filter_ctx filter)
{
    int error = 0;
    for (size_t i = 0; i < sizeof of_plane / sizeof *of_plane && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, of_plane[i].call, 1,
                                 SCMP_CMP64(of_plane[i].argument, SCMP_CMP_EQ, of_plane[i].value));
    // This host's addresses, by netlink (getifaddrs).
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                 SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK),
                                 SCMP_A2_64(SCMP_CMP_EQ, NETLINK_ROUTE));
    return error;
}

int sandbox_enter(bool io_uring, bool plane, char why[static SANDBOX_WHY_SIZE])
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error = filter ? 0 : -ENOMEM;
    if (error == 0)
        error = rules_add(filter, io_uring);
    if (error == 0 && plane)
        error = plane_rules_add(filter);
    // With the system's own words where it fails.
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    // A tree in place of a long row of comparisons, for the calls that the kernel has to ask for.
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (error == 0)
        error = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    if (error < 0)
        snprintf(why, SANDBOX_WHY_SIZE, "the kernel takes no filter: %s", strerror(-error));
    return error;
}
