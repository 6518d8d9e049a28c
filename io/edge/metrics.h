// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/log.h"
#include "io/engine/engine.h"

#include <stdio.h>

// Writes all metrics, as /metrics or as /stats.json of the stats address has them; `started` is
// Unix time.
void metrics_print(struct engine *engine, const struct log *log, int64_t started, bool json,
                   FILE *to);
