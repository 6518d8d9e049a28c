// SPDX-License-Identifier: MIT
#include "tests/scenario/stage.h"

#include <stdlib.h>

// What upstreams do of themselves, and the octets of what they say.

enum {
    KNOWN_US = 20000,        // for what it remembers
    SILENT_US = 1000000000u, // for what is never answered, and stands in the way
};

// With how much delay the answer comes to what would have taken so long, from an upstream that
// remembers.
static uint64_t known_delay(struct stage *stage, struct upstream_side *upstream,
                            const struct name *name, uint64_t delay_us)
{
    struct known *known = upstream->known;
    while (known && !name_equal(&known->name, name))
        known = known->before;
    if (known)
        return known->ready_us > stage->now_us + KNOWN_US ? known->ready_us - stage->now_us
                                                          : KNOWN_US;
    known = script_memory(stage->script, sizeof *known);
    *known = (struct known){upstream->known, *name, stage->now_us + delay_us};
    upstream->known = known;
    return delay_us;
}

// The same for a connection on which not all are worked on at once, or which are answered in turn.
static uint64_t queued_delay(struct stage *stage, const struct event *event, uint64_t delay_us)
{
    const struct upstream_side *upstream = &stage->upstreams[event->upstream];
    struct slot *slot = &stage->connections[event->route.worker][event->route.port];
    uint64_t *busy_us = &slot->busy_us[0];
    for (unsigned i = 1; i < upstream->at_once; i++)
        busy_us = slot->busy_us[i] < *busy_us ? &slot->busy_us[i] : busy_us;
    uint64_t begin_us =
        upstream->at_once > 0 && *busy_us > stage->now_us ? *busy_us : stage->now_us;
    uint64_t end_us = begin_us + delay_us;
    *busy_us = end_us;
    if (upstream->in_turn && end_us < slot->last_us)
        end_us = slot->last_us;
    slot->last_us = end_us;
    return end_us - stage->now_us;
}

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
    struct upstream_side *upstream = &stage->upstreams[event->upstream];
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
        uint64_t delay_us = rule->delay_us;
        if (event->route.tcp && upstream->remembers)
            delay_us = known_delay(stage, upstream, &lower, delay_us);
        if (event->route.tcp)
            delay_us = queued_delay(stage, event, delay_us);
        upstreams_reply(stage, event, &telling, delay_us);
        for (unsigned i = 0; i < SECTIONS; i++)
            free(telling.sections[i].bytes);
    } else if (event->route.tcp) {
        (void)queued_delay(stage, event, SILENT_US);
    }
    free(asking.trouble);
}
