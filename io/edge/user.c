// SPDX-License-Identifier: MIT
#include "io/edge/user.h"

#include <pwd.h>
#include <stdio.h>

int user_check(const char *user, char why[static USER_WHY_SIZE])
{
    if (*user == '\0' || getpwnam(user))
        return 0;
    snprintf(why, USER_WHY_SIZE, "server.user: there is no user %s", user);
    return -1;
}
