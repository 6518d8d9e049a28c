// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// Stands for one of another form than PLANE_FORM, of which nothing else can be known: how many
// descriptors it has differs, too.
void plane_passed_foreign(struct plane_passed *passed, uint32_t form);

// Closes what was not taken (plane_adopt).
void plane_passed_free(struct plane_passed *passed);
