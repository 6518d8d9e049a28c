// SPDX-License-Identifier: MIT
#include "tests/scenario/expect.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SHOWN_MAX = 8, SHOWN_LEN = 300, LATE_US = 1000, SETTLE_S = 15, TALLIES_MAX = 16 };

static const char *const counter_names[COUNTER_COUNT] = {
#define COUNTER(identifier, ...) [COUNTER_##identifier] = #identifier,
#define GAUGE(identifier, ...)   [COUNTER_##identifier] = #identifier,
#include "core/settings/counters.def"
#undef COUNTER
#undef GAUGE
};

// --- reports of failures
// --------------------------------------------------------------------------

static void time_print(FILE *out, const struct stage *stage, uint64_t at_us)
{
    double us = (double)(at_us - stage->script->start_us);
    if (us < 1e6)
        fprintf(out, "%.10gms", us / 1e3);
    else
        fprintf(out, "%.10gs", us / 1e6);
}

static void query_print(FILE *out, const struct event *event)
{
    static const struct asking unsaid;
    struct asking asking = asking_read(event->bytes, event->len, event->route.tcp);
    if (event->kind == EVENT_ASKED) {
        asking_print(out, &asking, &unsaid);
    } else {
        name_print(out, &asking.name);
        fprintf(out, " ");
        type_print(out, asking.type);
    }
    free(asking.trouble);
}

static char *answer_text(const struct stage *stage, const struct event *event)
{
    const struct asked *asked = &stage->asked[event->asked];
    struct telling telling =
        telling_read(event->bytes, event->len, asked->bytes, asked->len, asked->tcp,
                     (unsigned)stage->settings.server_udp_payload_max);
    char *text = telling_text(&telling);
    free(telling.trouble);
    for (unsigned i = 0; i < SECTIONS; i++)
        free(telling.sections[i].bytes);
    return text;
}

static void event_print(FILE *out, const struct stage *stage, const struct event *event)
{
    static const char *const verbs[] = {
        [EVENT_CONNECT] = "connects to",  [EVENT_DISCONNECT] = "disconnects from",
        [EVENT_OPEN] = "opens a port to", [EVENT_CLOSE] = "closes a port to",
        [EVENT_HANDED] = "hands over",    [EVENT_HINTED] = "sends a hint for"};
    const char *upstream = stage->upstream_count ? stage->upstreams[event->upstream].name : "";
    const char *client = stage->client_count ? stage->clients[event->client].name : "";
    char *text;
    switch (event->kind) {
    case EVENT_ASKED:
        fprintf(out, "%s is asked ", upstream);
        query_print(out, event);
        break;
    case EVENT_ANSWER:
        text = answer_text(stage, event);
        fprintf(out, "%s gets %s", client, text);
        free(text);
        break;
    case EVENT_DROPPED:
        fprintf(out, "%s is dropped for %s", client, counter_names[event->reason] + 6);
        break;
    case EVENT_HANDED:
    case EVENT_HINTED:
        fprintf(out, "ouzel %s ", verbs[event->kind]);
        query_print(out, event);
        break;
    default:
        fprintf(out, "ouzel %s %s", verbs[event->kind], upstream);
        break;
    }
}

char *stage_event_text(const struct stage *stage, const struct event *event)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    time_print(out, stage, event->at_us);
    fprintf(out, "  ");
    event_print(out, stage, event);
    fclose(out);
    return text;
}

// All that happened before some time and was not spoken of; NULL: nothing.
static char *unsaid_text(const struct stage *stage, uint64_t before_us)
{
    char *text = NULL;
    size_t size, count = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    for (size_t i = 0; i < stage->event_count; i++) {
        const struct event *event = &stage->events[i];
        if (event->said || event->at_us >= before_us)
            continue;
        if (count++ < SHOWN_MAX) {
            char *one = stage_event_text(stage, event);
            fprintf(out, "\n  %.*s", SHOWN_LEN, one);
            free(one);
        }
    }
    if (count > SHOWN_MAX)
        fprintf(out, "\n  and %zu more", count - SHOWN_MAX);
    fclose(out);
    if (count > 0)
        return text;
    free(text);
    return NULL;
}

static void unsaid_check(const struct stage *stage, uint64_t before_us)
{
    char *text = unsaid_text(stage, before_us);
    if (text)
        script_fail(stage->script, "before this something happens that is not said:%s", text);
}

// --- one event ---------------------------------------------------------------------------------

struct wish {
    enum event_kind kind;
    unsigned upstream;
    unsigned client;
    bool tcp;
    bool any_question; // of what has one
    const struct name *name;
    uint16_t type;
};

static bool same_question(const struct stage *stage, const struct event *event,
                          const struct wish *wish)
{
    const uint8_t *bytes = event->bytes;
    size_t len = event->len;
    if (event->kind == EVENT_ANSWER) {
        bytes = stage->asked[event->asked].bytes;
        len = stage->asked[event->asked].len;
    }
    struct asking asking = asking_read(bytes, len, false);
    free(asking.trouble);
    return name_equal(&asking.name, wish->name) && asking.type == wish->type;
}

static bool fits(const struct stage *stage, const struct event *event, const struct wish *wish)
{
    if (event->said || event->kind != wish->kind)
        return false;
    switch (event->kind) {
    case EVENT_ASKED:
        return event->upstream == wish->upstream && event->route.tcp == wish->tcp &&
               same_question(stage, event, wish);
    case EVENT_ANSWER:
        return event->client == wish->client &&
               (wish->any_question || same_question(stage, event, wish));
    case EVENT_DROPPED:
        return event->client == wish->client;
    case EVENT_HANDED:
    case EVENT_HINTED:
        return same_question(stage, event, wish);
    default:
        return event->upstream == wish->upstream;
    }
}

static struct event *event_find(struct stage *stage, const struct wish *wish)
{
    for (size_t i = 0; i < stage->event_count; i++) {
        if (fits(stage, &stage->events[i], wish))
            return &stage->events[i];
    }
    return NULL;
}

static struct span span_or_now(const struct stage *stage, const struct span *when)
{
    if (!when->given)
        return (struct span){true, stage->now_us, stage->now_us};
    struct span span = *when;
    // A timer fires with the tick that it is due in.
    if (span.min_us == span.max_us)
        span.max_us += LATE_US;
    return span;
}

__attribute__((noreturn)) static void missing(const struct stage *stage, const struct span *span)
{
    char *text = unsaid_text(stage, UINT64_MAX);
    char *times = NULL;
    size_t size;
    FILE *out = open_memstream(&times, &size);
    if (!out)
        abort();
    time_print(out, stage, span->min_us);
    if (span->max_us > span->min_us) {
        fprintf(out, " to ");
        time_print(out, stage, span->max_us);
    }
    fclose(out);
    script_fail(stage->script, "this does not happen (%s), but %s%s", times,
                text ? "instead:" : "nothing at all", text ? text : "");
}

// Waits for the event and takes it.
static struct event *event_await(struct stage *stage, const struct span *when,
                                 const struct wish *wish)
{
    struct span span = span_or_now(stage, when);
    struct event *event;
    while (!(event = event_find(stage, wish)) && stage_step(stage, span.max_us))
        ;
    if (!event)
        missing(stage, &span);
    if (event->at_us < span.min_us || event->at_us > span.max_us)
        script_fail(stage->script, "this happens at another time: %s",
                    stage_event_text(stage, event));
    unsaid_check(stage, event->at_us);
    event->said = true;
    return event;
}

// Of long texts only the part from their first difference on is printed.
static void texts_compare(const struct stage *stage, const struct event *event, const char *said,
                          const char *seen)
{
    enum { SHORT = 300, BEFORE = 40 };
    size_t same = 0;
    while (said[same] && said[same] == seen[same])
        same++;
    if (said[same] == seen[same])
        return;
    size_t from = same > SHORT ? same - BEFORE : 0;
    char *what = stage_event_text(stage, event);
    script_fail(stage->script,
                "this is not what happens:\n  said  %s%.*s\n  seen  %s%.*s\n  in    %.*s",
                from ? "... " : "", SHORT, said + from, from ? "... " : "", SHORT, seen + from,
                SHORT, what);
}

static struct event *labelled(const struct stage *stage, const char *label)
{
    for (size_t i = 0; i < stage->event_count; i++) {
        const char *is = stage->events[i].label;
        if (is && strcmp(is, label) == 0)
            return &stage->events[i];
    }
    return NULL;
}

static char *asking_text(const struct asking *asking, const struct asking *wanted)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    asking_print(out, asking, wanted);
    fclose(out);
    return text;
}

void expect_asked(struct stage *stage, const struct span *when, unsigned upstream,
                  struct phrase *phrase)
{
    struct asking said = asking_parse(stage->script, phrase, false);
    const char *label = NULL;
    if (phrase_take(phrase, "as"))
        label = phrase_need(stage->script, phrase, "the label");
    if (label && labelled(stage, label))
        script_fail(stage->script, "there was something \"as %s\" before", label);
    phrase_end(stage->script, phrase);
    struct wish wish = {.kind = EVENT_ASKED,
                        .upstream = upstream,
                        .tcp = said.tcp,
                        .name = &said.name,
                        .type = said.type};
    struct event *event = event_await(stage, when, &wish);
    struct asking seen = asking_read(event->bytes, event->len, event->route.tcp);
    char *said_text = asking_text(&said, &said), *seen_text = asking_text(&seen, &said);
    texts_compare(stage, event, said_text, seen_text);
    free(said_text);
    free(seen_text);
    free(seen.trouble);
    event->label = label;
}

void expect_answer(struct stage *stage, const struct span *when, unsigned client,
                   struct phrase *phrase, const struct statement *statement)
{
    struct wish wish = {.kind = EVENT_ANSWER, .client = client, .any_question = true};
    struct name wanted;
    if (phrase_take(phrase, "for")) {
        wanted = name_of(stage->script, phrase_need(stage->script, phrase, "the name"));
        wish.name = &wanted;
        wish.type = type_of(stage->script, phrase_need(stage->script, phrase, "the type"));
        wish.any_question = false;
    }
    struct event *event = event_await(stage, when, &wish);
    const struct asked *asked = &stage->asked[event->asked];
    struct asking asking = asking_read(asked->bytes, asked->len, false);
    struct name lower = {.len = asking.name.len};
    name_lower(lower.bytes, asking.name.bytes, lower.len);
    // What a client wrote in the question it gets back everywhere.
    struct telling said = telling_parse(stage->script, phrase, statement->items,
                                        statement->item_count, &asking.name, false);
    char *said_text = telling_text(&said), *seen_text = answer_text(stage, event);
    texts_compare(stage, event, said_text, seen_text);
    for (unsigned i = 0; i < SECTIONS; i++)
        free(said.sections[i].bytes);
    free(said_text);
    free(seen_text);
    free(asking.trouble);
}

static enum counter counter_of(const struct stage *stage, const char *prefix, const char *word)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, word);
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        if (strcmp(counter_names[i], name) == 0)
            return (enum counter)i;
    }
    script_fail(stage->script, "there is no counter %s", name);
}

void expect_dropped(struct stage *stage, const struct span *when, unsigned client,
                    struct phrase *phrase)
{
    phrase_expect(stage->script, phrase, "for");
    enum counter reason =
        counter_of(stage, "drops_", phrase_need(stage->script, phrase, "the reason"));
    phrase_end(stage->script, phrase);
    const struct event *event =
        event_await(stage, when, &(struct wish){.kind = EVENT_DROPPED, .client = client});
    texts_compare(stage, event, counter_names[reason], counter_names[event->reason]);
}

// What ouzel does of itself.
void expect_own(struct stage *stage, const struct span *when, struct phrase *phrase)
{
    static const struct {
        const char *words;
        enum event_kind kind;
    } verbs[] = {{"connects to", EVENT_CONNECT},  {"disconnects from", EVENT_DISCONNECT},
                 {"opens a port to", EVENT_OPEN}, {"closes a port to", EVENT_CLOSE},
                 {"hands over", EVENT_HANDED},    {"sends a hint for", EVENT_HINTED}};
    const char *verb = phrase_need(stage->script, phrase, "what ouzel does");
    size_t i = 0;
    while (i < sizeof verbs / sizeof *verbs && (strncmp(verbs[i].words, verb, strlen(verb)) != 0))
        i++;
    if (i == sizeof verbs / sizeof *verbs)
        script_fail(stage->script, "ouzel does not \"%s\"", verb);
    const char *rest = strchr(verbs[i].words, ' ');
    phrase_expect(stage->script, phrase, rest ? rest + 1 : "");
    struct wish wish = {.kind = verbs[i].kind};
    struct name name;
    const char *word = phrase_need(stage->script, phrase, "the upstream or the name");
    if (wish.kind == EVENT_HANDED || wish.kind == EVENT_HINTED) {
        name = name_of(stage->script, word);
        wish.name = &name;
        wish.type = type_of(stage->script, phrase_need(stage->script, phrase, "the type"));
    } else {
        int upstream = stage_upstream(stage, word);
        if (upstream < 0)
            script_fail(stage->script, "\"%s\" is no upstream of any zone", word);
        wish.upstream = (unsigned)upstream;
    }
    phrase_end(stage->script, phrase);
    (void)event_await(stage, when, &wish);
}

void expect_counter(struct stage *stage, const struct span *when, struct phrase *phrase)
{
    enum counter which = counter_of(stage, "", phrase_need(stage->script, phrase, "the counter"));
    struct range range =
        script_range(stage->script, phrase_need(stage->script, phrase, "its value"));
    phrase_end(stage->script, phrase);
    expect_reach(stage, when);
    uint64_t is = stage_counter(stage, which);
    if (is < range.min || is > range.max)
        script_fail(stage->script, "%s is %" PRIu64, counter_names[which], is);
}

struct event *expect_labelled(struct stage *stage, const char *label)
{
    struct event *event = labelled(stage, label);
    if (event)
        return event;
    script_fail(stage->script, "nothing was asked \"as %s\"", label);
}

struct event *expect_unreplied(struct stage *stage, unsigned upstream)
{
    for (size_t i = stage->event_count; i-- > 0;) {
        struct event *event = &stage->events[i];
        if (event->kind == EVENT_ASKED && event->upstream == upstream && event->said &&
            !event->replied)
            return event;
    }
    script_fail(stage->script,
                "%s was asked nothing, as far as is said, that it has not replied to",
                stage->upstreams[upstream].name);
}

// --- many events -------------------------------------------------------------------------------

void expect_reach(struct stage *stage, const struct span *when)
{
    uint64_t until_us = when->given ? when->max_us : stage->now_us;
    if (until_us + LATE_US < stage->now_us)
        script_fail(stage->script, "this time has passed: the line before is later");
    if (until_us < stage->now_us)
        until_us = stage->now_us;
    stage_go(stage, until_us);
    unsaid_check(stage, until_us);
}

void expect_nothing(struct stage *stage, const struct span *when)
{
    expect_reach(stage, when);
    unsaid_check(stage, UINT64_MAX);
}

// What a tally's item speaks of.
struct tally {
    bool anything;
    enum event_kind kind;
    int upstream; // -1: any
    int tcp;      // -1: either
    int rcode;    // -1: any
    bool stale;
    bool of_question;
    struct name name;
    uint16_t type;
    struct range times;
};

static bool rcode_take(struct phrase *phrase, int *rcode)
{
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (phrase_take(phrase, names[i])) {
            *rcode = i;
            return true;
        }
    }
    return false;
}

static struct tally tally_of_upstream(struct stage *stage, struct phrase *phrase, int upstream)
{
    struct tally tally = {.kind = EVENT_ASKED, .upstream = upstream, .tcp = -1};
    phrase_expect(stage->script, phrase, "is asked");
    tally.times = script_range(stage->script, phrase_need(stage->script, phrase, "the number"));
    phrase_expect(stage->script, phrase, "times");
    if (phrase_take(phrase, "for")) {
        tally.of_question = true;
        tally.name = name_of(stage->script, phrase_need(stage->script, phrase, "the name"));
        tally.type = type_of(stage->script, phrase_need(stage->script, phrase, "the type"));
    }
    if (phrase_take(phrase, "over")) {
        tally.tcp = phrase_take(phrase, "tcp");
        if (!tally.tcp)
            phrase_expect(stage->script, phrase, "udp");
    }
    return tally;
}

static struct tally tally_parse(struct stage *stage, struct phrase *phrase)
{
    static const struct {
        const char *noun;
        enum event_kind kind;
    } nouns[] = {{"answers", EVENT_ANSWER},    {"drops", EVENT_DROPPED},
                 {"connects", EVENT_CONNECT},  {"disconnects", EVENT_DISCONNECT},
                 {"opens", EVENT_OPEN},        {"closes", EVENT_CLOSE},
                 {"hand-overs", EVENT_HANDED}, {"hints", EVENT_HINTED}};
    struct tally tally = {.upstream = -1, .tcp = -1, .rcode = -1};
    if (phrase_take(phrase, "anything")) {
        tally.anything = true;
        tally.times.max = UINT64_MAX;
        return tally;
    }
    const char *word = phrase_need(stage->script, phrase, "what is counted");
    int upstream = stage_upstream(stage, word);
    if (upstream >= 0)
        return tally_of_upstream(stage, phrase, upstream);
    tally.times = script_range(stage->script, word);
    tally.stale = phrase_take(phrase, "stale");
    const char *noun = phrase_need(stage->script, phrase, "what is counted");
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++) {
        if (strcmp(nouns[i].noun, noun) == 0) {
            tally.kind = nouns[i].kind;
            (void)rcode_take(phrase, &tally.rcode);
            return tally;
        }
    }
    script_fail(stage->script, "\"%s\" cannot be counted: say answers, drops, connects ...", noun);
}

static bool tally_fits(const struct stage *stage, const struct tally *tally,
                       const struct event *event)
{
    if (tally->anything)
        return true;
    if (event->kind != tally->kind)
        return false;
    if (event->kind == EVENT_ASKED)
        return (int)event->upstream == tally->upstream &&
               (tally->tcp < 0 || event->route.tcp == tally->tcp) &&
               (!tally->of_question ||
                same_question(stage, event,
                              &(struct wish){.name = &tally->name, .type = tally->type}));
    if (event->kind != EVENT_ANSWER)
        return true;
    char *text = answer_text(stage, event);
    bool stale = strstr(text, " ede 3") || strstr(text, " ede 19");
    free(text);
    return (tally->rcode < 0 || (event->bytes[3] & HEADER_RCODE) == tally->rcode) &&
           (!tally->stale || stale);
}

void expect_tally(struct stage *stage, uint64_t until_us, struct statement *statement)
{
    struct tally tallies[TALLIES_MAX];
    uint64_t counts[TALLIES_MAX] = {0};
    size_t count = statement->item_count;
    if (count > TALLIES_MAX)
        script_fail(stage->script, "more than %d items", TALLIES_MAX);
    for (size_t i = 0; i < count; i++) {
        tallies[i] = tally_parse(stage, &statement->items[i]);
        phrase_end(stage->script, &statement->items[i]);
    }
    stage_go(stage, until_us);
    for (size_t e = 0; e < stage->event_count; e++) {
        struct event *event = &stage->events[e];
        size_t i = 0;
        while (!event->said && i < count && !tally_fits(stage, &tallies[i], event))
            i++;
        if (event->said || i == count)
            continue;
        counts[i]++;
        event->said = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (counts[i] < tallies[i].times.min || counts[i] > tallies[i].times.max)
            script_fail(stage->script, "\"%s\": it is %" PRIu64, phrase_text(&statement->items[i]),
                        counts[i]);
    }
    unsaid_check(stage, UINT64_MAX);
}

// --- the end -----------------------------------------------------------------------------------

static void balance_check(const struct stage *stage, uint64_t left_waiting)
{
    uint64_t queries =
        stage_counter(stage, COUNTER_queries) + stage_counter(stage, COUNTER_queries_tcp);
    uint64_t ended = 0;
    for (unsigned i = COUNTER_answers_cache; i <= COUNTER_drops_handover_full; i++)
        ended += stage_counter(stage, (enum counter)i);
    if (queries != ended + left_waiting)
        script_fail(stage->script,
                    "%" PRIu64 " queries came, and %" PRIu64 " answers and drops were counted",
                    queries, ended);
}

void expect_end(struct stage *stage, uint64_t left_waiting)
{
    static const enum counter gauges[] = {COUNTER_ports, COUNTER_upstream_connections,
                                          COUNTER_pending};
    expect_nothing(stage, &(struct span){0});
    uint64_t waiting = stage_counter(stage, COUNTER_waiters);
    if (waiting != left_waiting)
        script_fail(stage->script, "the end: %" PRIu64 " clients are waiting", waiting);
    if (waiting == 0 && stage_counter(stage, COUNTER_pending) > 0)
        script_fail(stage->script, "the end: %" PRIu64 " questions are pending",
                    stage_counter(stage, COUNTER_pending));
    balance_check(stage, left_waiting);
    if (left_waiting > 0)
        return;
    stage->watch_ports = false;
    stage_go(stage, stage->now_us + SETTLE_S * UINT64_C(1000000) +
                        stage->settings.upstream_tcp_idle_timeout * 1000);
    for (size_t i = 0; i < stage->event_count; i++)
        stage->events[i].said |= stage->events[i].kind == EVENT_DISCONNECT;
    char *text = unsaid_text(stage, UINT64_MAX);
    if (text)
        script_fail(stage->script, "after the end something happens:%s", text);
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        if (stage_counter(stage, gauges[i]) > 0)
            script_fail(stage->script, "long after the end %s is still %" PRIu64,
                        counter_names[gauges[i]], stage_counter(stage, gauges[i]));
    }
}
