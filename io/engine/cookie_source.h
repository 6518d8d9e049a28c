// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"

// Secrets out of the kernel's random numbers, another one each day. 0 or a negative errno.
[[nodiscard]] int cookie_source_draw(struct cookie_source *source);
