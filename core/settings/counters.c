// SPDX-License-Identifier: MIT
#include "core/settings/counters.h"

const struct counter_description counter_descriptions[COUNTER_COUNT] = {
#define ROW(name, label, text, ...)                                \
    {                                                              \
        .metric = name, .labels = label, .help = text, __VA_ARGS__ \
    }
#define COUNTER(identifier, ...) [COUNTER_##identifier] = ROW(__VA_ARGS__),
#define GAUGE(identifier, ...)   [COUNTER_##identifier] = ROW(__VA_ARGS__, .gauge = true),
#include "core/settings/counters.def"
#undef COUNTER
#undef GAUGE
#undef ROW
};
