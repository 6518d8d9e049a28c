// SPDX-License-Identifier: MIT
#include "io/xdp/plane_cookies.h"

// Cookies of an older secret are due for renewal, which is for the workers. The key is always one
// that nobody knows, also where none is checked: the program may see a part of a change.

int plane_cookies_fill(struct plane *plane, const struct cookie_source *source, bool on,
                       uint64_t now_s, uint64_t *until_s)
{
    struct cookie_secrets secrets;
    struct plane_cookies cookies = {.age_max_s = COOKIE_AGE_RENEW_S,
                                    .ahead_max_s = COOKIE_AHEAD_MAX_S};
    cookie_secrets_at(&secrets, source, now_s);
    memcpy(cookies.key, secrets.keys[0], sizeof cookies.key);
    if (on)
        cookies.until_s = secrets.until_s < UINT32_MAX ? (uint32_t)secrets.until_s : UINT32_MAX;
    int error = plane_check_cookies(plane, &cookies);
    if (error == 0)
        *until_s = secrets.until_s;
    return error;
}

int plane_cookies_renew(struct plane *plane, const struct cookie_source *source, bool on,
                        uint64_t now_s, uint64_t *until_s)
{
    return now_s < *until_s ? 0 : plane_cookies_fill(plane, source, on, now_s, until_s);
}
