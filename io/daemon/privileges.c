// SPDX-License-Identifier: MIT
#include "io/daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The order matters. The bounding set is cut while the process has CAP_SETPCAP, which it loses with
// its user. Changing the user would take every capability along, so they are kept until the one
// that is to stay has been chosen. No thread has been started by then: capabilities are a thread's
// own, and later ones get those of the one that starts them.
//
// The kernel's own calls do this in a few lines, so libcap is not needed.

enum { CAPABILITIES_MAX = 64 };

static const uint64_t low_ports = (uint64_t)1 << CAP_NET_BIND_SERVICE;

int privileges_give(const char *user, const char *path, const struct file_mark *made)
{
    const struct passwd *entry = *user ? getpwnam(user) : NULL;
    struct stat stat;
    if (!entry || entry->pw_uid == geteuid())
        return 0;
    int error = 0, fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        error = -errno;
    else if (!S_ISSOCK(stat.st_mode) || !file_mark_is(made, &stat) || stat.st_uid != geteuid() ||
             stat.st_nlink != 1)
        error = -EPERM;
    else if (fchownat(fd, "", entry->pw_uid, entry->pw_gid, AT_EMPTY_PATH) != 0)
        error = -errno;
    if (fd >= 0)
        close(fd);
    return error;
}

static int fails(char why[static PRIVILEGES_WHY_SIZE], const char *what, const char *user)
{
    snprintf(why, PRIVILEGES_WHY_SIZE, "%s%s: %s", what, user, strerror(errno));
    return -1;
}

// A process without the right to do this keeps the set as it is. That is harmless: the set bounds
// what a started program can gain, which PR_SET_NO_NEW_PRIVS forbids altogether.
static void bounding_set_cut(void)
{
    for (int i = 0; i < CAPABILITIES_MAX && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (i != CAP_NET_BIND_SERVICE)
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    }
}

static int user_become(const char *user, char why[static PRIVILEGES_WHY_SIZE])
{
    const struct passwd *entry = *user ? getpwnam(user) : NULL;
    if (!entry || entry->pw_uid == geteuid())
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(user, entry->pw_gid) != 0 ||
        setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0)
        return fails(why, "cannot become ", user);
    return 0;
}

// Keeps of the process' capabilities the one for low ports, where it has it, and gives it to what
// takes the process' place.
static int capabilities_cut(char why[static PRIVILEGES_WHY_SIZE])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, sets) != 0)
        return fails(why, "cannot read the capabilities", "");
    uint32_t kept = sets[0].permitted & (uint32_t)low_ports;
    memset(sets, 0, sizeof sets);
    sets[0].permitted = sets[0].effective = sets[0].inheritable = kept;
    if (syscall(SYS_capset, &header, sets) != 0)
        return fails(why, "cannot give up capabilities", "");
    // A program that is started has only what is ambient. It can do without.
    if (kept)
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
    return 0;
}

int privileges_drop(const char *user, char why[static PRIVILEGES_WHY_SIZE])
{
    if (user_check(user, why) != 0)
        return -1;
    bounding_set_cut();
    if (user_become(user, why) != 0 || capabilities_cut(why) != 0)
        return -1;
    // A process that was root must not be able to become it again.
    if (geteuid() != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
        snprintf(why, PRIVILEGES_WHY_SIZE, "cannot give up the rights of root");
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fails(why, "cannot give up new rights", "");
    return 0;
}
