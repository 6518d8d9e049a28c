// SPDX-License-Identifier: MIT
#include "core/settings/counters.h"

const struct counter_description counter_descriptions[COUNTER_COUNT] = {
#define COUNTER(identifier, metric, labels, help) \
    [COUNTER_##identifier] = {metric, labels, help, false},
#define GAUGE(identifier, metric, labels, help) \
    [COUNTER_##identifier] = {metric, labels, help, true},
#include "core/settings/counters.def"
#undef COUNTER
#undef GAUGE
};
