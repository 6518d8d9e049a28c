// SPDX-License-Identifier: MIT
#include "io/edge/report.h"

#include "core/forward/upstream.h"
#include "core/policy/access.h"
#include "core/serve.h"

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

static void upstream_print(const struct upstream_state *t, FILE *to)
{
    char address[ADDRESS_TEXT_MAX], heard[32] = "never";
    address_format(&t->all.address, address);
    if (t->all.heard_us > 0)
        snprintf(heard, sizeof heard, "%.1f s ago", (double)(t->now_us - t->all.heard_us) / 1e6);
    fprintf(to, "%-28s %-8s %8.2f ms %8.2f ms %5.1f %% %9u %11u  %s%s%s%s\n", address,
            healths[t->all.health], t->all.fast_us / 1e3, t->all.slow_us / 1e3,
            t->all.loss_pm / 10.0, t->all.in_flight, t->all.connections, heard,
            t->all.knows_edns ? "" : ", no EDNS", t->all.keeps_spelling ? "" : ", no 0x20",
            t->all.knows_cookies ? ", cookies" : "");
}

static void upstream_json(const struct upstream_state *t, bool first, FILE *to)
{
    char address[ADDRESS_TEXT_MAX];
    address_format(&t->all.address, address);
    fprintf(to,
            "%s\n  {\"address\": \"%s\", \"health\": \"%s\", \"workers_alive\": %u, "
            "\"workers_dead\": %u, \"fast_us\": %u, \"slow_us\": %u, \"loss_ratio\": %.3f, "
            "\"in_flight\": %u, \"connections\": %u, \"heard_us_ago\": ",
            first ? "" : ",", address, healths[t->all.health], t->alive, t->dead, t->all.fast_us,
            t->all.slow_us, t->all.loss_pm / 1e3, t->all.in_flight, t->all.connections);
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

static const char *rcode_text(uint16_t rcode)
{
    static const char *const texts[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
    return rcode < sizeof texts / sizeof *texts ? texts[rcode] : "another error";
}

static void kept_print(const char *what, const struct serve_kept *kept, uint32_t now_s, FILE *to)
{
    if (!kept->there)
        return;
    fprintf(to, "%-9s %s, %u records, %u octets, stored %u s ago, ", what, rcode_text(kept->rcode),
            kept->records, kept->len, now_s - kept->birth_s);
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
        fprintf(to, " (%s)", rcode_text(e->local_rcode));
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
        fprintf(to, "failed    %s, not asked again for %.1f s\n", rcode_text(e->failed_rcode),
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
            what, rcode_text(kept->rcode), kept->records, kept->len, now_s - kept->birth_s,
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
