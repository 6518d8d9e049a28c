// SPDX-License-Identifier: MIT
#include "tests/scenario/play.h"

#include "tests/scenario/expect.h"
#include "tests/scenario/setup.h"

#include <stdlib.h>

enum {
    PENDING_MAX_UNSAID = 64,
    PORTS_MAX_UNSAID = 256,
    STREAMS_MAX_UNSAID = 8,
    QUERY_MAX = 1200,
};

// --- clients do --------------------------------------------------------------------------------

// Which worker the query arrives at.
static unsigned worker_parse(struct stage *stage, struct phrase *phrase, const uint8_t *query,
                             size_t len)
{
    unsigned home = stage_home(stage, query, len);
    if (phrase_take(phrase, "at")) {
        phrase_expect(stage->script, phrase, "home");
        return home;
    }
    if (phrase_take(phrase, "away")) {
        phrase_expect(stage->script, phrase, "from home");
        return (home + 1) % stage->worker_count;
    }
    return 0;
}

static uint64_t delay_parse(struct stage *stage, struct phrase *phrase)
{
    if (!phrase_take(phrase, "in"))
        return 0;
    return script_duration_us(stage->script, phrase_need(stage->script, phrase, "a time"));
}

// "asks NAME TYPE with ... in 50ms every 10ms": plotted as number `index` of its kind.
static void ask_plot(struct stage *stage, unsigned client, struct phrase *phrase, size_t index)
{
    uint8_t bytes[QUERY_MAX];
    uint64_t every_us = 0;
    struct asking asking = asking_parse(stage->script, phrase, true);
    asking.id = ++stage->next_id;
    size_t len = asking_write(&asking, bytes, sizeof bytes);
    unsigned worker = worker_parse(stage, phrase, bytes, len);
    uint64_t delay_us = delay_parse(stage, phrase);
    if (phrase_take(phrase, "every"))
        every_us = script_duration_us(stage->script, phrase_need(stage->script, phrase, "a time"));
    phrase_end(stage->script, phrase);
    stage_plot(stage, &(struct plot){.at_us = stage->now_us + delay_us + index * every_us,
                                     .kind = PLOT_ASK,
                                     .route = {.worker = worker, .tcp = asking.tcp},
                                     .client = client,
                                     .bytes = bytes,
                                     .len = len});
}

static void octets_plot(struct stage *stage, unsigned client, struct phrase *phrase)
{
    uint8_t bytes[QUERY_MAX];
    size_t len = script_octets(stage->script, phrase, bytes, sizeof bytes);
    phrase_end(stage->script, phrase);
    stage_plot(stage, &(struct plot){.at_us = stage->now_us,
                                     .kind = PLOT_ASK,
                                     .client = client,
                                     .bytes = bytes,
                                     .len = len});
}

static void client_one(struct stage *stage, const struct span *when, struct phrase *phrase,
                       const struct statement *statement, size_t index)
{
    unsigned client = stage_client(stage, phrase_next(phrase));
    if (phrase_take(phrase, "asks") || phrase_take(phrase, "ask")) {
        ask_plot(stage, client, phrase, index);
    } else if (phrase_take(phrase, "sends")) {
        octets_plot(stage, client, phrase);
    } else if (phrase_take(phrase, "gets") || phrase_take(phrase, "get")) {
        expect_answer(stage, when, client, phrase, statement);
    } else if (phrase_take(phrase, "is") || phrase_take(phrase, "are")) {
        phrase_expect(stage->script, phrase, "dropped");
        expect_dropped(stage, when, client, phrase);
    } else {
        script_fail(stage->script,
                    "\"%s\" is neither an upstream of any zone nor a client that "
                    "asks, gets, sends or is dropped",
                    phrase->words[0]);
    }
}

// How many sentences one with braces stands for.
static size_t spread_of(const struct script *script, const struct phrase *phrase)
{
    size_t spread = 1;
    for (size_t i = 0; i < phrase->count; i++) {
        size_t words = script_spread(script, phrase->words[i]);
        if (words > 1 && spread > 1 && words != spread)
            script_fail(script, "braces of %zu and of %zu words", spread, words);
        spread = words > spread ? words : spread;
    }
    return spread;
}

static struct phrase phrase_spread(const struct script *script, const struct phrase *phrase,
                                   size_t index)
{
    struct phrase copy = {.words = script_memory(script, phrase->count * sizeof *copy.words),
                          .count = phrase->count,
                          .at = phrase->at};
    for (size_t i = 0; i < copy.count; i++)
        copy.words[i] = script_spread_word(script, phrase->words[i], index);
    return copy;
}

static void phrase_spread_free(struct phrase *phrase)
{
    for (size_t i = 0; i < phrase->count; i++)
        free(phrase->words[i]);
    free(phrase->words);
}

static void client_do(struct stage *stage, const struct span *when, struct statement *statement)
{
    const char *verb = statement->head.at + 1 < statement->head.count
                           ? statement->head.words[statement->head.at + 1]
                           : "";
    bool acts = strcmp(verb, "asks") == 0 || strcmp(verb, "ask") == 0 || strcmp(verb, "sends") == 0;
    size_t spread = spread_of(stage->script, &statement->head);
    if (acts)
        expect_reach(stage, when);
    for (size_t i = 0; i < spread; i++) {
        struct phrase phrase = phrase_spread(stage->script, &statement->head, i);
        client_one(stage, when, &phrase, statement, i);
        phrase_spread_free(&phrase);
    }
    if (acts)
        stage_go(stage, stage->now_us);
}

// --- upstreams do ------------------------------------------------------------------------------

static void reply_do(struct stage *stage, const struct span *when, unsigned upstream,
                     struct statement *statement)
{
    struct phrase *phrase = &statement->head;
    struct event *event = NULL;
    expect_reach(stage, when);
    if (phrase_take(phrase, "to"))
        event = expect_labelled(stage, phrase_need(stage->script, phrase, "the label"));
    else
        event = expect_unreplied(stage, upstream);
    if (event->upstream != upstream)
        script_fail(stage->script, "that was asked of %s", stage->upstreams[event->upstream].name);
    uint64_t delay_us = delay_parse(stage, phrase);
    struct asking asking = asking_read(event->bytes, event->len, event->route.tcp);
    struct name lower = {.len = asking.name.len};
    name_lower(lower.bytes, asking.name.bytes, lower.len);
    struct telling telling =
        telling_parse(stage->script, phrase, statement->items, statement->item_count, &lower, true);
    event->replied = !telling.id_wrong && !telling.cut;
    upstreams_reply(stage, event, &telling, delay_us);
    stage_go(stage, stage->now_us);
    free(asking.trouble);
}

static struct rule *rule_add(struct stage *stage, unsigned upstream)
{
    struct rule *rule = script_memory(stage->script, sizeof *rule);
    *rule = (struct rule){.before = stage->upstreams[upstream].rules,
                          .any_transport = true,
                          .within = name_of(stage->script, ".")};
    stage->upstreams[upstream].rules = rule;
    return rule;
}

static void rule_transport(struct stage *stage, struct rule *rule, struct phrase *phrase)
{
    if (!phrase_take(phrase, "over"))
        return;
    rule->any_transport = false;
    rule->tcp = phrase_take(phrase, "tcp");
    if (!rule->tcp)
        phrase_expect(stage->script, phrase, "udp");
}

// "always replies to slow.example over udp in 300ms 192.0.2.1"
static void always_do(struct stage *stage, unsigned upstream, struct statement *statement)
{
    struct phrase *phrase = &statement->head;
    struct rule *rule = rule_add(stage, upstream);
    phrase_expect(stage->script, phrase, "replies");
    if (phrase_take(phrase, "to"))
        rule->within =
            name_of(stage->script, phrase_need(stage->script, phrase, "the names' zone"));
    rule_transport(stage, rule, phrase);
    rule->delay_us = delay_parse(stage, phrase);
    rule->saying = *statement;
    // Whatever is wrong with the words shows now, and not with the first question.
    struct phrase words = *phrase;
    (void)telling_parse(stage->script, &words, statement->items, statement->item_count,
                        &rule->within, true);
}

static void ignores_do(struct stage *stage, unsigned upstream, struct phrase *phrase)
{
    struct rule *rule = rule_add(stage, upstream);
    rule->silent = true;
    rule->within = name_of(stage->script, phrase_need(stage->script, phrase, "the names' zone"));
    rule_transport(stage, rule, phrase);
    phrase_end(stage->script, phrase);
}

static void is_do(struct stage *stage, const struct span *when, unsigned index,
                  struct phrase *phrase)
{
    struct upstream_side *upstream = &stage->upstreams[index];
    expect_reach(stage, when);
    if (phrase_take(phrase, "silent")) {
        rule_add(stage, index)->silent = true;
        upstream->unreachable = false;
    } else if (phrase_take(phrase, "unreachable")) {
        upstream->unreachable = true;
        upstream->unreachable_after_us = delay_parse(stage, phrase);
    } else {
        phrase_expect(stage->script, phrase, "reachable");
        upstream->unreachable = upstream->seems_unreachable = false;
    }
    phrase_end(stage->script, phrase);
}

static void asked_do(struct stage *stage, const struct span *when, unsigned upstream,
                     const struct phrase *head)
{
    size_t spread = spread_of(stage->script, head);
    for (size_t i = 0; i < spread; i++) {
        struct phrase phrase = phrase_spread(stage->script, head, i);
        expect_asked(stage, when, upstream, &phrase);
        // Its words stay: a label is one of them.
    }
}

// "answers in turn", or "answers 2 at a time", of what it is asked on one connection.
static void answers_do(struct stage *stage, unsigned upstream, struct phrase *phrase)
{
    if (phrase_take(phrase, "in")) {
        phrase_expect(stage->script, phrase, "turn");
        stage->upstreams[upstream].in_turn = true;
        return;
    }
    uint64_t count = script_number(stage->script, phrase_need(stage->script, phrase, "a number"));
    if (count > AT_ONCE_MAX)
        script_fail(stage->script, "more than %d at a time", AT_ONCE_MAX);
    stage->upstreams[upstream].at_once = (unsigned)count;
    phrase_expect(stage->script, phrase, "at a time");
}

// "closes its connections", "closes on slow.example" whenever that is asked on one, or "closes
// after 2 answers" on each.
static void closes_do(struct stage *stage, unsigned upstream, struct phrase *phrase)
{
    if (phrase_take(phrase, "on")) {
        stage->upstreams[upstream].closes = true;
        stage->upstreams[upstream].closes_on =
            name_of(stage->script, phrase_need(stage->script, phrase, "the names' zone"));
        return;
    }
    if (phrase_take(phrase, "after")) {
        stage->upstreams[upstream].closes_after =
            (unsigned)script_number(stage->script, phrase_need(stage->script, phrase, "a number"));
        phrase_expect(stage->script, phrase, "answers");
        return;
    }
    phrase_expect(stage->script, phrase, "its connections");
    stage_hang_up(stage, upstream);
    stage_go(stage, stage->now_us);
}

static void connections_do(struct stage *stage, const struct span *when, unsigned upstream,
                           struct phrase *phrase)
{
    expect_reach(stage, when);
    if (phrase_take(phrase, "answers")) {
        answers_do(stage, upstream, phrase);
    } else if (phrase_take(phrase, "remembers")) {
        phrase_expect(stage->script, phrase, "what it is asked");
        stage->upstreams[upstream].remembers = true;
    } else if (phrase_take(phrase, "closes")) {
        closes_do(stage, upstream, phrase);
    } else if (phrase_take(phrase, "drops")) {
        phrase_expect(stage->script, phrase, "connections");
        stage->upstreams[upstream].drops_tcp = true;
    } else {
        bool refuses = phrase_take(phrase, "refuses");
        if (!refuses && !phrase_take(phrase, "accepts"))
            script_fail(stage->script, "\"%s\" is nothing that an upstream does",
                        phrase_peek(phrase) ? phrase_peek(phrase) : "");
        phrase_expect(stage->script, phrase, "connections");
        stage->upstreams[upstream].refuses_tcp = refuses;
        stage->upstreams[upstream].drops_tcp = false;
    }
    phrase_end(stage->script, phrase);
}

static void upstream_do(struct stage *stage, const struct span *when, unsigned upstream,
                        struct statement *statement)
{
    struct phrase *phrase = &statement->head;
    if (phrase_take(phrase, "replies")) {
        reply_do(stage, when, upstream, statement);
    } else if (phrase_take(phrase, "always")) {
        expect_reach(stage, when);
        always_do(stage, upstream, statement);
    } else if (phrase_take(phrase, "ignores")) {
        expect_reach(stage, when);
        ignores_do(stage, upstream, phrase);
    } else if (phrase_take(phrase, "seems")) {
        expect_reach(stage, when);
        phrase_expect(stage->script, phrase, "unreachable");
        stage->upstreams[upstream].seems_unreachable = true;
        stage->upstreams[upstream].unreachable_after_us = delay_parse(stage, phrase);
        phrase_end(stage->script, phrase);
    } else if (!phrase_take(phrase, "is")) {
        connections_do(stage, when, upstream, phrase);
    } else if (phrase_take(phrase, "asked")) {
        asked_do(stage, when, upstream, phrase);
    } else {
        is_do(stage, when, upstream, phrase);
    }
}

// --- the rest ----------------------------------------------------------------------------------

// "the next 3 ports are taken", "the next 1 hand-overs fail"
static void next_do(struct stage *stage, const struct span *when, struct phrase *phrase)
{
    expect_reach(stage, when);
    phrase_expect(stage->script, phrase, "next");
    uint64_t count = script_number(stage->script, phrase_need(stage->script, phrase, "how many"));
    bool ports = phrase_take(phrase, "ports");
    phrase_expect(stage->script, phrase, ports ? "are taken" : "hand-overs fail");
    *(ports ? &stage->ports_taken : &stage->handovers_fail) = (unsigned)count;
    phrase_end(stage->script, phrase);
}

// "flush NAME", "flush all below NAME", "flush everything"
static void flush_do(struct stage *stage, const struct span *when, struct phrase *phrase)
{
    struct serve_flush flush = {.what = FLUSH_NAME};
    expect_reach(stage, when);
    if (phrase_take(phrase, "everything")) {
        flush.what = FLUSH_ALL;
    } else {
        if (phrase_take(phrase, "all")) {
            phrase_expect(stage->script, phrase, "below");
            flush.what = FLUSH_SUBTREE;
        }
        flush.name = name_of(stage->script, phrase_need(stage->script, phrase, "the name"));
    }
    phrase_end(stage->script, phrase);
    for (unsigned i = 0; i < stage->worker_count; i++) {
        struct serve_flush own = flush;
        while (serve_flush(stage->workers[i], &own, 64))
            ;
    }
}

// at 150ms, at 150..160ms, after 10ms: since the beginning, or since the line before.
static struct span when_parse(const struct stage *stage, struct phrase *phrase)
{
    bool after = phrase_take(phrase, "after");
    if (!after && !phrase_take(phrase, "at"))
        return (struct span){0};
    struct range time = script_time(stage->script, phrase_need(stage->script, phrase, "the time"));
    uint64_t from_us = after ? stage->now_us : STAGE_START_US;
    return (struct span){true, from_us + time.min, from_us + time.max};
}

static void end_do(struct stage *stage, struct phrase *phrase, uint64_t *left_waiting)
{
    phrase_expect(stage->script, phrase, "leaves");
    *left_waiting = script_number(stage->script, phrase_need(stage->script, phrase, "how many"));
    phrase_expect(stage->script, phrase, "clients waiting");
    phrase_end(stage->script, phrase);
}

static void statement_do(struct stage *stage, struct statement *statement, uint64_t *left_waiting)
{
    struct phrase *phrase = &statement->head;
    if (setup_take(stage, phrase))
        return;
    stage_begin(stage);
    if (phrase_take(phrase, "until")) {
        uint64_t us =
            script_duration_us(stage->script, phrase_need(stage->script, phrase, "the time"));
        phrase_end(stage->script, phrase);
        expect_tally(stage, STAGE_START_US + us, statement);
        return;
    }
    struct span when = when_parse(stage, phrase);
    const char *subject = phrase_need(stage->script, phrase, "what happens");
    int upstream = stage_upstream(stage, subject);
    if (upstream >= 0) {
        upstream_do(stage, &when, (unsigned)upstream, statement);
    } else if (strcmp(subject, "ouzel") == 0) {
        expect_own(stage, &when, phrase);
    } else if (strcmp(subject, "nothing") == 0) {
        phrase_expect(stage->script, phrase, "yet");
        phrase_end(stage->script, phrase);
        expect_nothing(stage, &when);
    } else if (strcmp(subject, "counter") == 0) {
        expect_counter(stage, &when, phrase);
    } else if (strcmp(subject, "the") == 0) {
        next_do(stage, &when, phrase);
    } else if (strcmp(subject, "flush") == 0) {
        flush_do(stage, &when, phrase);
    } else if (strcmp(subject, "end") == 0) {
        end_do(stage, phrase, left_waiting);
    } else {
        phrase->at--;
        client_do(stage, &when, statement);
    }
}

void play(struct script *script, bool trace, struct beside *beside)
{
    struct stage *stage = script_memory(script, sizeof *stage);
    struct statement statement;
    uint64_t left_waiting = 0;
    stage->script = script;
    stage->trace = trace;
    stage->beside = beside;
    stage->now_us = script->start_us = STAGE_START_US;
    stage->worker_count = 1;
    stage->pending_max = PENDING_MAX_UNSAID;
    stage->source_ports_max = PORTS_MAX_UNSAID;
    stage->upstream_connections_max = STREAMS_MAX_UNSAID;
    if (settings_defaults(&stage->settings) != 0)
        script_fail(script, "out of memory");
    while (script_next(script, &statement))
        statement_do(stage, &statement, &left_waiting);
    stage_begin(stage);
    expect_end(stage, left_waiting);
}
