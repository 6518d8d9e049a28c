// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/log.h"
#include "io/engine/engine.h"

#include <stdio.h>

// Logs where the XDP plane answers, and where not and why. Nothing where the settings want none.
// What is amiss is written to `report` as well, unless that is NULL.
void plane_log(const struct log *log, struct engine *engine, FILE *report);
