// SPDX-License-Identifier: MIT
#include "io/edge/report.h"

#include "core/forward/upstream.h"
#include "core/policy/access.h"
#include "core/serve.h"
#include "core/wire/text.h"

#include <inttypes.h>
#include <stdlib.h>

static bool worker_ended(FILE *to)
{
    fprintf(to, "a worker has ended\n");
    return false;
}

// A text as JSON has it between quotes: what is printed here has no control characters, but a name
// may have a backslash.
static void json_text(const char *text, FILE *to)
{
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

// --- upstreams -----------------------------------------------------------------------------------

struct looking {
    unsigned worker_count;
    size_t count;
    struct serve_upstream (*upstreams)[PLAN_UPSTREAMS_MAX]; // of each worker
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
        t.all.keeps_spelling &= u->keeps_spelling;
        t.all.knows_cookies |= u->knows_cookies;
        if (u->heard_us > t.all.heard_us)
            t.all.heard_us = u->heard_us;
    }
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
    struct upstream_state *states = calloc(PLAN_UPSTREAMS_MAX, sizeof *states);
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

static void upstream_print(const struct upstream_state *t, FILE *to)
{
    char address[ADDRESS_TEXT_MAX], heard[32] = "never";
    address_format(&t->all.address, address);
    if (t->all.heard_us > 0)
        snprintf(heard, sizeof heard, "%.1f s ago", (double)(t->now_us - t->all.heard_us) / 1e6);
    fprintf(to, "%-28s %-8s %8.2f ms %8.2f ms %5.1f %% %9u %11u  %s%s%s%s\n", address,
            health_word(t), t->all.fast_us / 1e3, t->all.slow_us / 1e3, t->all.loss_pm / 10.0,
            t->all.in_flight, t->all.connections, heard, t->all.knows_edns ? "" : ", no EDNS",
            t->all.keeps_spelling ? "" : ", no 0x20", t->all.knows_cookies ? ", cookies" : "");
}

static void upstream_json(const struct upstream_state *t, bool first, FILE *to)
{
    char address[ADDRESS_TEXT_MAX];
    address_format(&t->all.address, address);
    fprintf(to,
            "%s\n  {\"address\": \"%s\", \"health\": \"%s\", \"workers_alive\": %u, "
            "\"workers_dead\": %u, \"workers_failing\": %u, \"fast_us\": %u, \"slow_us\": %u, "
            "\"loss_ratio\": %.3f, "
            "\"in_flight\": %u, \"connections\": %u, \"heard_us_ago\": ",
            first ? "" : ",", address, health_word(t), t->alive, t->dead, t->failing,
            t->all.fast_us, t->all.slow_us, t->all.loss_pm / 1e3, t->all.in_flight,
            t->all.connections);
    if (t->all.heard_us > 0)
        fprintf(to, "%" PRIu64, t->now_us - t->all.heard_us);
    else
        fputs("null", to);
    fprintf(to, ", \"edns\": %s, \"spelling\": %s, \"cookies\": %s}",
            t->all.knows_edns ? "true" : "false", t->all.keeps_spelling ? "true" : "false",
            t->all.knows_cookies ? "true" : "false");
}

void report_states_json(const struct upstream_state *states, size_t count, FILE *to)
{
    fputc('[', to);
    for (size_t i = 0; i < count; i++)
        upstream_json(&states[i], i == 0, to);
    fputs("\n]\n", to);
}

bool report_upstreams(struct engine *engine, bool json, FILE *to)
{
    size_t count;
    struct upstream_state *states = report_states(engine, &count);
    if (!states)
        return worker_ended(to);
    if (json)
        report_states_json(states, count, to);
    else
        fprintf(to, "%-28s %-8s %11s %11s %7s %9s %11s  %s\n", "upstream", "health", "fast", "slow",
                "loss", "in flight", "connections", "heard");
    for (size_t i = 0; !json && i < count; i++)
        upstream_print(&states[i], to);
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

static void top_print(const struct toplist *list, unsigned kind, bool json, FILE *to)
{
    char text[NAME_TEXT_SIZE + TEXT_TYPE_SIZE + 8];
    if (json)
        fprintf(to, "%s\"%s\": [", kind ? ",\n " : "", top_kinds[kind].word);
    else
        fprintf(to, "%s%s\n", kind ? "\n" : "", top_kinds[kind].title);
    for (size_t i = 0; i < list->count && list->entries[i].count > 0; i++) {
        double share = (double)list->entries[i].count / (double)(list->total ? list->total : 1);
        top_text(kind, &list->entries[i].entry, text, sizeof text);
        if (json) {
            fprintf(to, "%s\n  {\"what\": ", i ? "," : "");
            json_text(text, to);
            fprintf(to, ", \"share\": %.4f, \"count\": %" PRIu64 "}", share,
                    list->entries[i].count);
        } else {
            fprintf(to, "  %5.1f %%  %s\n", 100 * share, text);
        }
    }
    if (json)
        fputc(']', to);
}

bool report_top(struct engine *engine, bool json, FILE *to)
{
    unsigned workers = engine_worker_count(engine);
    struct topping topping = {calloc(workers * (size_t)TOP_KINDS, sizeof *topping.tops)};
    bool done = topping.tops && engine_do(engine, tops_look, &topping);
    if (!done)
        worker_ended(to);
    else if (json)
        fputc('{', to);
    for (unsigned kind = 0; done && kind < TOP_KINDS; kind++) {
        struct toplist list = together_of(&topping, workers, kind);
        top_print(&list, kind, json, to);
        free(list.entries);
    }
    if (done && json)
        fputs("}\n", to);
    free(topping.tops);
    return done;
}

// --- a question ----------------------------------------------------------------------------------

struct asking {
    const struct name *name;
    uint16_t type;
    const struct address *client;
    struct serve_explanation explanation; // of its home
    uint64_t now_us;
};

static bool question_look(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct asking *asking = context;
    struct serve_explanation explanation;
    serve_explain(serve, now_us, asking->name, asking->type, asking->client, &explanation);
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
    [OUTCOME_REFUSED] = {"refused", "the client is told REFUSED"},
    [OUTCOME_DROPPED] = {"dropped", "the query is dropped: the client is in access.drop"},
    [OUTCOME_LOCAL] = {"local", "it is answered from local records or as a special name"},
    [OUTCOME_BLOCKED] = {"blocked", "it is answered as blocked: the name is on a block list"},
    [OUTCOME_MEMORY] = {"memory", "it is answered from memory"},
    [OUTCOME_DENIED] = {"denied", "it is answered from memory: the name does not exist"},
    [OUTCOME_FAILURE] = {"failure", "it is answered with a failure of a moment ago"},
    [OUTCOME_STALE] = {"stale", "it is answered with what is over, as nobody can be asked"},
    [OUTCOME_JOIN] = {"join", "it waits for what is asked upstream already"},
    [OUTCOME_UPSTREAM] = {"upstream", "it is asked upstream"},
};

// What has just come may begin with the next second.
static uint32_t age_of(const struct serve_kept *kept, uint32_t now_s)
{
    return now_s > kept->birth_s ? now_s - kept->birth_s : 0;
}

static void kept_print(const char *what, const struct serve_kept *kept, uint32_t now_s, FILE *to)
{
    if (!kept->there)
        return;
    fprintf(to, "%-9s %s, %u records, %u octets, stored %u s ago, ", what, text_rcode(kept->rcode),
            kept->records, kept->len, age_of(kept, now_s));
    if (now_s < kept->expiry_s)
        fprintf(to, "lives for another %u s", kept->expiry_s - now_s);
    else
        fprintf(to, "over for %u s", now_s - kept->expiry_s);
    fprintf(to, ", asked for %s%u times%s\n", kept->hits == CACHE_HITS_MAX ? "at least " : "",
            kept->hits, kept->refreshed ? ", was refreshed ahead" : "");
}

static void zone_print(const struct serve_explanation *e, FILE *to)
{
    char text[NAME_TEXT_SIZE];
    if (!e->zone) {
        fprintf(to, "zone      none covers the name\n");
        return;
    }
    const struct forward_zone *zone = e->zone->settings;
    name_format(&zone->zone, text);
    fprintf(to, "zone      %s, to", text);
    for (size_t i = 0; i < zone->to.count; i++) {
        address_format(&zone->to.items[i], text);
        fprintf(to, "%s %s", i ? "," : "", text);
    }
    fprintf(to, "%s\n", e->zone_down ? "; all of them are dead" : "");
}

static void question_print(const struct asking *asking, FILE *to)
{
    const struct serve_explanation *e = &asking->explanation;
    uint32_t now_s = (uint32_t)(asking->now_us / 1000000);
    fprintf(to, "now       %s", outcomes[e->outcome].sentence);
    if (e->outcome == OUTCOME_LOCAL || e->outcome == OUTCOME_BLOCKED)
        fprintf(to, " (%s)", text_rcode(e->local_rcode));
    fputc('\n', to);
    if (asking->client)
        fprintf(to, "client    %s\n",
                e->access == ACCESS_ALLOW    ? "may ask"
                : e->access == ACCESS_REFUSE ? "is refused"
                                             : "is dropped");
    zone_print(e, to);
    kept_print("kept", &e->kept, now_s, to);
    kept_print("denial", &e->denial, now_s, to);
    if (!e->kept.there && !e->denial.there)
        fprintf(to, "kept      nothing\n");
    if (e->asked_us > 0)
        fprintf(to, "asked     for %.3f s, %u sends, %u clients wait\n",
                (double)(asking->now_us - e->asked_us) / 1e6, e->sends, e->waiting);
    if (e->failed_until_us > 0)
        fprintf(to, "failed    %s, not asked again for %.1f s\n", text_rcode(e->failed_rcode),
                (double)(e->failed_until_us - asking->now_us) / 1e6);
    fprintf(to, "key       %016" PRIx64 ", worker %u\n", e->key.hash, e->home);
}

static void kept_json(const char *what, const struct serve_kept *kept, uint32_t now_s, FILE *to)
{
    if (!kept->there) {
        fprintf(to, ", \"%s\": null", what);
        return;
    }
    fprintf(to,
            ", \"%s\": {\"rcode\": \"%s\", \"records\": %u, \"octets\": %u, \"age_s\": %u, "
            "\"ttl_s\": %" PRId64 ", \"hits\": %u, \"refreshed\": %s}",
            what, text_rcode(kept->rcode), kept->records, kept->len, age_of(kept, now_s),
            (int64_t)kept->expiry_s - (int64_t)now_s, kept->hits,
            kept->refreshed ? "true" : "false");
}

static void question_json(const struct asking *asking, FILE *to)
{
    const struct serve_explanation *e = &asking->explanation;
    uint32_t now_s = (uint32_t)(asking->now_us / 1000000);
    char text[NAME_TEXT_SIZE];
    name_format(asking->name, text);
    fputs("{\"name\": ", to);
    json_text(text, to);
    fprintf(to, ", \"type\": %u, \"outcome\": \"%s\", \"worker\": %u, \"key\": \"%016" PRIx64 "\"",
            asking->type, outcomes[e->outcome].word, e->home, e->key.hash);
    if (e->zone) {
        name_format(&e->zone->settings->zone, text);
        fputs(", \"zone\": ", to);
        json_text(text, to);
        fprintf(to, ", \"zone_down\": %s", e->zone_down ? "true" : "false");
    }
    kept_json("kept", &e->kept, now_s, to);
    kept_json("denial", &e->denial, now_s, to);
    fprintf(to, ", \"waiting\": %u, \"sends\": %u, \"failed\": %s}\n", e->waiting, e->sends,
            e->failed_until_us > 0 ? "true" : "false");
}

bool report_question(struct engine *engine, const struct name *name, uint16_t type,
                     const struct address *client, bool json, FILE *to)
{
    struct asking asking = {.name = name, .type = type, .client = client};
    if (!engine_do(engine, question_look, &asking))
        return worker_ended(to);
    if (json)
        question_json(&asking, to);
    else
        question_print(&asking, to);
    return true;
}
