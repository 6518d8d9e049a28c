// SPDX-License-Identifier: MIT
#pragma once

// The user that server.user names, whom the daemon becomes (io/daemon/privileges.h).

#define USER_WHY_SIZE 200

// Is there such a user, or is none named ("")? 0, or -1 with a sentence in `why`.
[[nodiscard]] int user_check(const char *user, char why[static USER_WHY_SIZE]);
