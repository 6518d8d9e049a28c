// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/json.h"
#include "io/edge/prometheus.h"
#include "io/engine/engine.h"

// The resources of this process, and its memory by consumer; as JSON the memory alone.

void process_stats_tell(const struct engine *engine, const struct prometheus *prometheus,
                        struct json *json);
