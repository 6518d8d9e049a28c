// SPDX-License-Identifier: MIT
#include "tests/scenario/stage.h"

#include <stdlib.h>

// What upstreams do of themselves, and the octets of what they say.

void upstreams_reply(struct stage *stage, const struct event *event, const struct telling *telling,
                     uint64_t delay_us)
{
    static uint8_t out[MESSAGE_LEN_MAX];
    struct plot plot = {
        .at_us = stage->now_us + delay_us,
        .kind = PLOT_REPLY,
        .route = event->route,
        .bytes = out,
        .len = telling_write(telling, event->bytes, event->len, out, sizeof out),
    };
    if (plot.len == 0)
        script_fail(stage->script, "the reply is too long for a message");
    for (unsigned i = 0; i < telling->times; i++)
        stage_plot(stage, &plot);
}

static bool asked_below(const struct asking *asking, const struct name *within)
{
    struct name lower = {.len = asking->name.len};
    name_lower(lower.bytes, asking->name.bytes, lower.len);
    return name_within(&lower, within);
}

static const struct rule *rule_find(const struct upstream_side *upstream,
                                    const struct asking *asking)
{
    const struct rule *rule = upstream->rules;
    while (rule && !(asked_below(asking, &rule->within) &&
                     (rule->any_transport || rule->tcp == asking->tcp)))
        rule = rule->before;
    return rule;
}

void upstreams_asked(struct stage *stage, const struct event *event)
{
    const struct upstream_side *upstream = &stage->upstreams[event->upstream];
    struct asking asking = asking_read(event->bytes, event->len, event->route.tcp);
    const struct rule *rule = rule_find(upstream, &asking);
    bool unreachable = upstream->unreachable || upstream->seems_unreachable;
    if (unreachable && !event->route.tcp)
        stage_plot(stage, &(struct plot){.at_us = stage->now_us + upstream->unreachable_after_us,
                                         .kind = PLOT_UNREACHABLE,
                                         .route = event->route});
    if (upstream->unreachable && !event->route.tcp) {
        free(asking.trouble);
        return;
    }
    if (upstream->closes && event->route.tcp && asked_below(&asking, &upstream->closes_on)) {
        stage_plot(stage, &(struct plot){
                              .at_us = stage->now_us, .kind = PLOT_HANG_UP, .route = event->route});
    } else if (rule && !rule->silent) {
        struct phrase words = rule->saying.head;
        struct name lower = {.len = asking.name.len};
        name_lower(lower.bytes, asking.name.bytes, lower.len);
        struct telling telling = telling_parse(stage->script, &words, rule->saying.items,
                                               rule->saying.item_count, &lower, true);
        upstreams_reply(stage, event, &telling, rule->delay_us);
        for (unsigned i = 0; i < SECTIONS; i++)
            free(telling.sections[i].bytes);
    }
    free(asking.trouble);
}
