// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"
#include "io/xdp/plane.h"

// Tells the plane which cookies to check, as the workers do at this time: those of the source's
// newest secret, or (`on` is false) none. Writes to *until_s when it has to be told again; from
// then on it checks none. 0 or a negative errno, with *until_s as it was.
[[nodiscard]] int plane_cookies_fill(struct plane *plane, const struct cookie_source *source,
                                     bool on, uint64_t now_s, uint64_t *until_s);

// The same where *until_s has come; to be called again and again.
[[nodiscard]] int plane_cookies_renew(struct plane *plane, const struct cookie_source *source,
                                      bool on, uint64_t now_s, uint64_t *until_s);
