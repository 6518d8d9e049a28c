// SPDX-License-Identifier: MIT
#include "io/edge/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int privileges_check(const char *user, char why[static PRIVILEGES_WHY_SIZE])
{
    if (*user == '\0' || getpwnam(user))
        return 0;
    snprintf(why, PRIVILEGES_WHY_SIZE, "server.user: there is no user %s", user);
    return -1;
}

int privileges_give(const char *user, const char *path)
{
    const struct passwd *entry = *user ? getpwnam(user) : NULL;
    return entry ? chown(path, entry->pw_uid, entry->pw_gid) : 0;
}

int privileges_drop(const char *user, char why[static PRIVILEGES_WHY_SIZE])
{
    const struct passwd *entry = *user ? getpwnam(user) : NULL;
    bool same = entry && entry->pw_uid == geteuid();
    if (privileges_check(user, why) != 0)
        return -1;
    if (entry && !same &&
        (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
         setuid(entry->pw_uid) != 0)) {
        snprintf(why, PRIVILEGES_WHY_SIZE, "cannot become %s: %s", user, strerror(errno));
        return -1;
    }
    // Whoever is root no more must not be able to be it again.
    if (entry && entry->pw_uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
        snprintf(why, PRIVILEGES_WHY_SIZE, "cannot give up the rights of root");
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(why, PRIVILEGES_WHY_SIZE, "cannot give up new rights: %s", strerror(errno));
        return -1;
    }
    return 0;
}
