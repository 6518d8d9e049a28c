// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>

// Random octets from the kernel. A simulation links its own, which a seed decides.

// Fills `bytes`. 0 or -EIO.
[[nodiscard]] int entropy_draw(void *bytes, size_t len);
