// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>

// The object file that plane.bpf.c became, embedded by io/edge/embed.
extern const char plane_object[];
extern const size_t plane_object_len;
