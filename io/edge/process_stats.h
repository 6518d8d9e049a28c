// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

#include <stdio.h>

// What this process takes of the machine, in the names that Prometheus' own libraries use, and its
// memory by consumer.

void process_stats_print(const struct engine *engine, FILE *to);

// The memory alone, as an object of JSON.
void process_stats_json(const struct engine *engine, FILE *to);
