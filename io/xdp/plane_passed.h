// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// Closes what was not taken (plane_adopt).
void plane_passed_free(struct plane_passed *passed);
