// SPDX-License-Identifier: MIT
#include "io/edge/report.h"

#include "io/engine/engine_do.h"
#include "io/engine/engine_plane.h"

#include "core/forward/upstream.h"
#include "core/policy/access.h"
#include "core/serve/control.h"
#include "core/serve/explain.h"
#include "core/serve/top.h"
#include "core/wire/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

// A report writes lines for a person or JSON: both writers get the same calls, and one of them is
// off. A member of JSON that was renamed keeps its former name next to the new one until the next
// major version.
struct pens {
    FILE *lines; // NULL: nothing is written
    struct json json;
};

static struct pens pens_make(bool json, FILE *to)
{
    struct pens pens = {.lines = json ? NULL : to};
    json_init(&pens.json, json ? to : NULL);
    return pens;
}

__attribute__((format(printf, 2, 3))) static void say(const struct pens *pens, const char *format,
                                                      ...)
{
    if (!pens->lines)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(pens->lines, format, arguments);
    va_end(arguments);
}

static bool worker_ended(FILE *to)
{
    fprintf(to, "a worker has ended\n");
    return false;
}

// --- upstreams -----------------------------------------------------------------------------------

struct looking {
    unsigned worker_count;
    size_t count;
    struct serve_upstream (*upstreams)[ZONE_TABLE_UPSTREAMS_MAX]; // of each worker
    uint64_t now_us;
};

static bool upstreams_look(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct looking *looking = context;
    size_t count = serve_upstreams(serve, now_us, looking->upstreams[worker]);
    if (worker == 0) {
        looking->count = count;
        looking->now_us = now_us;
    }
    return false;
}

static struct upstream_state state_of(const struct looking *looking, size_t index)
{
    struct upstream_state t = {.all = looking->upstreams[0][index], .now_us = looking->now_us};
    uint64_t fast = 0, slow = 0, loss = 0;
    t.all.in_flight = t.all.connections = 0;
    for (unsigned i = 0; i < looking->worker_count; i++) {
        const struct serve_upstream *u = &looking->upstreams[i][index];
        t.alive += u->health == UPSTREAM_ALIVE;
        t.dead += u->health == UPSTREAM_DEAD;
        t.failing += u->health == UPSTREAM_ALIVE && u->fails;
        t.known += u->fast_us > 0;
        fast += u->fast_us;
        slow += u->slow_us;
        loss += u->loss_pm;
        t.all.in_flight += u->in_flight;
        t.all.connections += u->connections;
        t.all.knows_edns &= u->knows_edns;
        t.all.keeps_case &= u->keeps_case;
        t.all.knows_cookies |= u->knows_cookies;
        if (u->heard_us > t.all.heard_us)
            t.all.heard_us = u->heard_us;
    }
    assert(looking->worker_count > 0);
    unsigned known = t.known ? t.known : 1;
    t.all.fast_us = (uint32_t)(fast / known);
    t.all.slow_us = (uint32_t)(slow / known);
    t.all.loss_pm = (uint16_t)(loss / looking->worker_count);
    t.all.fails = t.alive && t.failing == t.alive;
    t.all.health = (uint8_t)(t.alive ? UPSTREAM_ALIVE : t.dead ? UPSTREAM_DEAD : UPSTREAM_UNKNOWN);
    return t;
}

struct upstream_state *report_states(struct engine *engine, size_t *count)
{
    struct looking looking = {.worker_count = engine_worker_count(engine)};
    struct upstream_state *states = calloc(ZONE_TABLE_UPSTREAMS_MAX, sizeof *states);
    looking.upstreams = calloc(looking.worker_count, sizeof *looking.upstreams);
    *count = 0;
    if (!states || !looking.upstreams || !engine_do(engine, upstreams_look, &looking)) {
        free(states);
        states = NULL;
    }
    for (size_t i = 0; states && i < looking.count; i++) {
        if (looking.upstreams[0][i].in_use)
            states[(*count)++] = state_of(&looking, i);
    }
    free(looking.upstreams);
    return states;
}

static const char *const healths[] = {
    [UPSTREAM_UNKNOWN] = "unknown", [UPSTREAM_ALIVE] = "alive", [UPSTREAM_DEAD] = "dead"};

static const char *health_word(const struct upstream_state *t)
{
    return t->all.fails ? "failing" : healths[t->all.health];
}

static void flags_say(const struct pens *pens, const struct upstream_state *t)
{
    say(pens, "%s%s%s\n", t->all.knows_edns ? "" : ", no EDNS",
        t->all.keeps_case ? "" : ", no 0x20", t->all.knows_cookies ? ", cookies" : "");
}

static void upstream_tell(struct pens *pens, const struct upstream_state *t)
{
    struct json *json = &pens->json;
    char address[ADDRESS_TEXT_MAX];
    address_format(&t->all.address, address);
    json_object(json, NULL, &json_line);
    json_string(json, "address", address);
    json_string(json, "health", health_word(t));
    say(pens, "%-28s %-8s", address, health_word(t));
    json_number(json, "workers_alive", t->alive);
    json_number(json, "workers_dead", t->dead);
    json_number(json, "workers_failing", t->failing);
    json_number(json, "fast_us", t->all.fast_us);
    json_number(json, "slow_us", t->all.slow_us);
    say(pens, " %8.2f ms %8.2f ms", t->all.fast_us / 1e3, t->all.slow_us / 1e3);
    json_real(json, "loss_ratio", t->all.loss_pm / 1e3, 3);
    json_number(json, "in_flight", t->all.in_flight);
    json_number(json, "connections", t->all.connections);
    say(pens, " %5.1f %% %9u %11u", t->all.loss_pm / 10.0, t->all.in_flight, t->all.connections);
    if (t->all.heard_us > 0) {
        json_number(json, "last_reply_us_ago", t->now_us - t->all.heard_us);
        json_number(json, "heard_us_ago", t->now_us - t->all.heard_us); // its former name
        say(pens, "  %.1f s ago", (double)(t->now_us - t->all.heard_us) / 1e6);
    } else {
        json_null(json, "last_reply_us_ago");
        json_null(json, "heard_us_ago");
        say(pens, "  never");
    }
    json_bool(json, "edns", t->all.knows_edns);
    json_bool(json, "random_case", t->all.keeps_case);
    json_bool(json, "spelling", t->all.keeps_case); // its former name
    json_bool(json, "cookies", t->all.knows_cookies);
    flags_say(pens, t);
    json_close(json);
}

static void states_tell(struct pens *pens, const char *key, const struct upstream_state *states,
                        size_t count)
{
    json_list(&pens->json, key, &json_lines);
    say(pens, "%-28s %-8s %11s %11s %7s %9s %11s  %s\n", "upstream", "health", "fast", "slow",
        "loss", "in flight", "connections", "last reply");
    for (size_t i = 0; i < count; i++)
        upstream_tell(pens, &states[i]);
    json_close(&pens->json);
}

void report_states_json(const struct upstream_state *states, size_t count, const char *key,
                        struct json *json)
{
    struct pens pens = {.json = *json};
    states_tell(&pens, key, states, count);
    *json = pens.json;
}

bool report_upstreams(struct engine *engine, bool json, FILE *to)
{
    size_t count;
    struct pens pens = pens_make(json, to);
    struct upstream_state *states = report_states(engine, &count);
    if (!states)
        return worker_ended(to);
    states_tell(&pens, NULL, states, count);
    free(states);
    return true;
}

// --- what is most frequent -----------------------------------------------------------------------

enum { TOP_TOLD = 20 };

struct ranked {
    struct top_entry entry;
    uint64_t count;
};

struct toplist {
    struct ranked *entries; // of all workers, then of all of them together
    size_t count;
    uint64_t total;
};

struct topping {
    struct top *tops; // of each worker, TOP_KINDS at a time
};

static bool tops_look(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    const struct topping *topping = context;
    for (unsigned kind = 0; kind < TOP_KINDS; kind++)
        topping->tops[worker * TOP_KINDS + kind] =
            *serve_top(serve, now_us, (enum serve_top_kind)kind);
    return false;
}

static int key_compare(const void *a, const void *b)
{
    const struct top_entry *left = &((const struct ranked *)a)->entry;
    const struct top_entry *right = &((const struct ranked *)b)->entry;
    int order = (left->len > right->len) - (left->len < right->len);
    return order ? order : memcmp(left->key, right->key, left->len);
}

static int count_compare(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;
    return (left->count < right->count) - (left->count > right->count);
}

// Puts together what the workers have of one kind, the most frequent first.
static struct toplist together_of(const struct topping *topping, unsigned workers, unsigned kind)
{
    struct toplist list = {.entries = calloc((size_t)workers * TOP_SIZE, sizeof *list.entries)};
    size_t all = 0;
    for (unsigned i = 0; list.entries && i < workers; i++) {
        const struct top *top = &topping->tops[i * TOP_KINDS + kind];
        for (uint32_t k = 0; k < top->used; k++)
            list.entries[all++] = (struct ranked){top->entries[k], top->counts[k]};
        list.total += top->total;
    }
    if (all == 0)
        return list;
    qsort(list.entries, all, sizeof *list.entries, key_compare);
    list.count = 1;
    for (size_t i = 1; i < all; i++) {
        struct ranked *last = &list.entries[list.count - 1];
        if (key_compare(last, &list.entries[i]) == 0)
            last->count += list.entries[i].count;
        else
            list.entries[list.count++] = list.entries[i];
    }
    qsort(list.entries, list.count, sizeof *list.entries, count_compare);
    list.count = list.count < TOP_TOLD ? list.count : TOP_TOLD;
    return list;
}

static const struct {
    const char *word, *title;
} top_kinds[TOP_KINDS] = {
    [TOP_QUESTIONS] = {"questions", "asked for most"},
    [TOP_CLIENTS] = {"clients", "ask most"},
    [TOP_FAILURES] = {"failures", "fail most"},
};

// An address without its port; returns the length.
static size_t client_text(const struct address *client, char text[static ADDRESS_TEXT_MAX])
{
    address_format(client, text);
    char *colon = strrchr(text, ':');
    if (text[0] == '[') { // [address]:port
        size_t len = strcspn(text, "]") - 1;
        memmove(text, text + 1, len);
        return len;
    }
    return colon ? (size_t)(colon - text) : strlen(text);
}

static void top_text(unsigned kind, const struct top_entry *entry, char *text, size_t size)
{
    char name_text[NAME_TEXT_SIZE], type[TEXT_TYPE_SIZE];
    struct address client;
    struct name name = {0};
    if (kind == TOP_CLIENTS) {
        memcpy(&client, entry->key, sizeof client);
        snprintf(text, size, "%.*s%s", (int)client_text(&client, name_text), name_text,
                 client.family == ADDRESS_IPV4 ? "" : "/56");
        return;
    }
    name.len = (uint8_t)(entry->len - KEY_HEAD_LEN);
    memcpy(name.bytes, entry->key + KEY_HEAD_LEN, name.len);
    name_format(&name, name_text);
    text_type_write(load_be16(entry->key), type);
    snprintf(text, size, "%s %s", name_text, type);
}

// The kinds on a line each.
static const struct json_layout kinds_layout = {"", ",\n ", ""};
static const struct json_layout kind_layout = {"\n  ", ",\n  ", ""};

static void top_tell(struct pens *pens, const struct toplist *list, unsigned kind)
{
    char text[NAME_TEXT_SIZE + TEXT_TYPE_SIZE + 8];
    json_list(&pens->json, top_kinds[kind].word, &kind_layout);
    say(pens, "%s%s\n", kind ? "\n" : "", top_kinds[kind].title);
    for (size_t i = 0; i < list->count && list->entries[i].count > 0; i++) {
        double share = (double)list->entries[i].count / (double)(list->total ? list->total : 1);
        top_text(kind, &list->entries[i].entry, text, sizeof text);
        json_object(&pens->json, NULL, &json_line);
        json_string(&pens->json, "what", text);
        json_real(&pens->json, "share", share, 4);
        json_number(&pens->json, "count", list->entries[i].count);
        json_close(&pens->json);
        say(pens, "  %5.1f %%  %s\n", 100 * share, text);
    }
    json_close(&pens->json);
}

bool report_top(struct engine *engine, bool json, FILE *to)
{
    struct pens pens = pens_make(json, to);
    unsigned workers = engine_worker_count(engine);
    // The XDP plane is one worker more.
    struct topping topping = {calloc((workers + 1) * (size_t)TOP_KINDS, sizeof *topping.tops)};
    bool done = topping.tops && engine_do(engine, tops_look, &topping);
    if (done && engine_plane_tops(engine, &topping.tops[workers * (size_t)TOP_KINDS]))
        workers++;
    if (!done) {
        free(topping.tops);
        return worker_ended(to);
    }
    json_object(&pens.json, NULL, &kinds_layout);
    for (unsigned kind = 0; kind < TOP_KINDS; kind++) {
        struct toplist list = together_of(&topping, workers, kind);
        top_tell(&pens, &list, kind);
        free(list.entries);
    }
    json_close(&pens.json);
    free(topping.tops);
    return true;
}

// --- a question ----------------------------------------------------------------------------------

struct asking {
    const struct report_question *question;
    struct serve_explanation explanation; // of its home
    uint64_t now_us;
};

static bool question_look(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct asking *asking = context;
    struct serve_explanation explanation;
    const struct report_question *q = asking->question;
    serve_explain(serve, now_us, q->name, q->type, q->client, &explanation);
    if (explanation.home == worker) {
        asking->explanation = explanation;
        asking->now_us = now_us;
    }
    return false;
}

// In the order of enum serve_outcome.
static const struct {
    const char *word, *sentence;
} outcomes[] = {
    [OUTCOME_REFUSED] = {"refused", "the client gets REFUSED"},
    [OUTCOME_DROPPED] = {"dropped", "the query is dropped: the client is in access.drop"},
    [OUTCOME_LOCAL] = {"local", "it is answered from local records or as a special name"},
    [OUTCOME_BLOCKED] = {"blocked", "it is answered as blocked: the name is on a block list"},
    [OUTCOME_MEMORY] = {"memory", "it is answered from the cache"},
    [OUTCOME_DENIED] = {"denied", "it is answered from the cache: the name does not exist"},
    [OUTCOME_FAILURE] = {"failure", "it is answered with a cached failure"},
    [OUTCOME_STALE] = {"stale", "it is answered with a stale answer, as no upstream is alive"},
    [OUTCOME_JOIN] = {"join", "it joins the same question, which is in flight"},
    [OUTCOME_UPSTREAM] = {"upstream", "it is asked upstream"},
};

// What has just come may begin with the next second.
static uint32_t age_of(const struct serve_cached *cached, uint32_t now_s)
{
    return now_s > cached->birth_s ? now_s - cached->birth_s : 0;
}

static void cached_say(const struct pens *pens, const char *what, const struct serve_cached *cached,
                       uint32_t now_s)
{
    char from[ADDRESS_TEXT_MAX] = "an upstream that is not in the settings any more";
    if (cached->upstream.family != ADDRESS_NONE)
        address_format(&cached->upstream, from);
    say(pens, "%-9s %s, %u records, %u octets, from %s over %s %u s ago, ", what,
        text_rcode(cached->rcode), cached->records, cached->len, from,
        transport_traits[cached->transport].label, age_of(cached, now_s));
    if (now_s < cached->expiry_s)
        say(pens, "expires in %u s", cached->expiry_s - now_s);
    else
        say(pens, "expired %u s ago", now_s - cached->expiry_s);
    say(pens, ", asked for %s%u times%s\n", cached->hits == CACHE_HITS_MAX ? "at least " : "",
        cached->hits, cached->refreshed ? ", refreshed before it expired" : "");
    if (cached->withheld)
        say(pens,
            "          replaces the upstream's answer: by a block list, or for its addresses\n");
}

static void origin_json(struct json *json, const struct serve_cached *cached)
{
    // In the order of enum answer_validation.
    static const char *const validations[] = {"unchecked", "insecure", "secure", "bogus"};
    char from[ADDRESS_TEXT_MAX];
    if (cached->upstream.family == ADDRESS_NONE) {
        json_null(json, "upstream");
    } else {
        address_format(&cached->upstream, from);
        json_string(json, "upstream", from);
    }
    json_string(json, "transport", transport_traits[cached->transport].label);
    json_string(json, "validation", validations[cached->validation]);
    json_bool(json, "withheld", cached->withheld);
}

static void cached_json(struct json *json, const char *key, const struct serve_cached *cached,
                        uint32_t now_s)
{
    if (!cached->there) {
        json_null(json, key);
        return;
    }
    json_object(json, key, &json_line);
    json_string(json, "rcode", text_rcode(cached->rcode));
    json_number(json, "records", cached->records);
    json_number(json, "octets", cached->len);
    json_number(json, "age_s", age_of(cached, now_s));
    json_signed(json, "ttl_s", (int64_t)cached->expiry_s - (int64_t)now_s);
    json_number(json, "hits", cached->hits);
    json_bool(json, "refreshed", cached->refreshed);
    origin_json(json, cached);
    json_close(json);
}

static void cached_tell(struct pens *pens, const struct serve_explanation *e, uint32_t now_s)
{
    if (e->cached.there)
        cached_say(pens, "cached", &e->cached, now_s);
    if (e->denial.there)
        cached_say(pens, "denial", &e->denial, now_s);
    if (!e->cached.there && !e->denial.there)
        say(pens, "cached    nothing\n");
    cached_json(&pens->json, "cached", &e->cached, now_s);
    cached_json(&pens->json, "kept", &e->cached, now_s); // its former name
    cached_json(&pens->json, "denial", &e->denial, now_s);
}

static void zone_tell(struct pens *pens, const struct serve_explanation *e)
{
    char text[NAME_TEXT_SIZE];
    if (!e->zone) {
        say(pens, "zone      none covers the name\n");
        return;
    }
    const struct forward_zone *zone = e->zone->settings;
    name_format(&zone->zone, text);
    json_string(&pens->json, "zone", text);
    json_bool(&pens->json, "zone_down", e->zone_down);
    say(pens, "zone      %s, to", text);
    for (size_t i = 0; i < zone->to.count; i++) {
        endpoint_format(&zone->to.items[i], false, text);
        say(pens, "%s %s", i ? "," : "", text);
    }
    say(pens, "%s\n", e->zone_down ? "; all of them are dead" : "");
}

static void listed_tell(struct pens *pens, const struct report_question *question)
{
    if (question->listed.line == 0) {
        json_null(&pens->json, "list");
        say(pens, "list      %s\n", question->unlisted);
        return;
    }
    say(pens, "list      %s:%u\n", question->listed.path, question->listed.line);
    json_object(&pens->json, "list", &json_line);
    json_string(&pens->json, "file", question->listed.path);
    json_number(&pens->json, "line", question->listed.line);
    json_close(&pens->json);
}

// What would come of it now, and for whom.
static void outcome_tell(struct pens *pens, const struct asking *asking, const char *key)
{
    const struct serve_explanation *e = &asking->explanation;
    char name[NAME_TEXT_SIZE];
    const struct report_question *question = asking->question;
    name_format(question->name, name);
    json_string(&pens->json, "name", name);
    json_number(&pens->json, "type", question->type);
    json_string(&pens->json, "outcome", outcomes[e->outcome].word);
    json_number(&pens->json, "worker", e->home);
    json_string(&pens->json, "key", key);
    say(pens, "now       %s", outcomes[e->outcome].sentence);
    if (e->outcome == OUTCOME_LOCAL || e->outcome == OUTCOME_BLOCKED)
        say(pens, " (%s)", text_rcode(e->local_rcode));
    say(pens, "\n");
    if (e->outcome == OUTCOME_BLOCKED)
        listed_tell(pens, question);
    if (question->client)
        say(pens, "client    %s\n",
            e->access == ACCESS_ALLOW    ? "may ask"
            : e->access == ACCESS_REFUSE ? "is refused"
                                         : "is dropped");
}

static void question_tell(struct pens *pens, const struct asking *asking)
{
    const struct serve_explanation *e = &asking->explanation;
    uint32_t now_s = (uint32_t)(asking->now_us / 1000000);
    char key[20];
    snprintf(key, sizeof key, "%016" PRIx64, e->key.hash);
    json_object(&pens->json, NULL, &json_line);
    outcome_tell(pens, asking, key);
    zone_tell(pens, e);
    cached_tell(pens, e, now_s);
    json_number(&pens->json, "waiting", e->waiting);
    json_number(&pens->json, "sends", e->sends);
    if (e->asked_us > 0)
        say(pens, "asked     for %.3f s, %u sends, %u clients wait\n",
            (double)(asking->now_us - e->asked_us) / 1e6, e->sends, e->waiting);
    json_bool(&pens->json, "failed", e->failed_until_us > 0);
    if (e->failed_until_us > 0)
        say(pens, "failed    %s, not asked again for %.1f s\n", text_rcode(e->failed_rcode),
            (double)(e->failed_until_us - asking->now_us) / 1e6);
    say(pens, "key       %s, worker %u\n", key, e->home);
    json_close(&pens->json);
}

int report_outcome(struct engine *engine, const struct report_question *question)
{
    struct asking asking = {.question = question};
    return engine_do(engine, question_look, &asking) ? asking.explanation.outcome : -1;
}

bool report_question(struct engine *engine, const struct report_question *question, bool json,
                     FILE *to)
{
    struct pens pens = pens_make(json, to);
    struct asking asking = {.question = question};
    if (!engine_do(engine, question_look, &asking))
        return worker_ended(to);
    question_tell(&pens, &asking);
    return true;
}
