// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// Takes from one of another form than PLANE_FORM what is the same in all forms: its first three
// numbers, and the descriptor of the region, whose answers can be copied. Closes the others, of
// which there may be more or less.
void plane_passed_foreign(struct plane_passed *passed, const void *octets, size_t len,
                          const int *fds, size_t fd_count);

// Octets of its region, and the descriptor; 0 where there is none.
[[nodiscard]] size_t plane_passed_region(const struct plane_passed *passed, int *fd);

// Closes what was not taken (plane_adopt).
void plane_passed_free(struct plane_passed *passed);
