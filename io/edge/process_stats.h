// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/json.h"
#include "io/edge/prometheus.h"
#include "io/engine/engine.h"

// What this process takes of the machine, and its memory by consumer; with JSON the memory alone.

void process_stats_tell(const struct engine *engine, const struct prometheus *prometheus,
                        struct json *json);
