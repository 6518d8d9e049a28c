// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

// What the cache must hold after all that was taken so far, and what it holds in the end. Of an
// answer to a question and a denial of its name only the latest is cached.

enum { VALUE_SURELY_KEPT = 16000 }; // octets; of longer ones the cache may say no

// Is it the name itself that does not exist, and not what it is an alias of (RFC 8020 1.1)?
static bool denies(const struct truth *t)
{
    bool aliased = false;
    for (unsigned i = 0; i < t->count; i++)
        aliased |= t->records[i].section == 0;
    return t->rcode == RCODE_NXDOMAIN && !aliased;
}

static struct kept *denial_of(struct sim *sim, uint32_t question)
{
    return &sim->denials[question_name(question)][question % FLAGS_MAX];
}

void memory_taken(struct sim *sim, uint32_t number, bool inserted, bool refresh)
{
    uint32_t ttls[TRUTH_RECORDS_MAX];
    struct truth truth;
    uint32_t question = sim->served[number].question;
    truth_make(&truth, sim, number);
    uint32_t lifetime = judge_ttls(sim, &truth, question_type(sim, question), ttls);
    // Short lives begin with the next second where they follow another one.
    uint64_t late_us = refresh && lifetime < REFRESH_SHORT_S ? 999999 : 0;
    uint64_t birth_s = (sim->now_us + late_us) / 1000000;
    struct kept kept = {
        .served = number + 1,
        .birth_s = birth_s,
        .expiry_s = birth_s + lifetime,
        .refreshed = refresh,
    };
    if (inserted != (lifetime > 0) && (inserted || truth.size < VALUE_SURELY_KEPT))
        sim_fail(sim, "the reply to %s is %s", sim_question_text(sim, question),
                 inserted ? "cached and must not be" : "not cached");
    bool denied = denies(&truth);
    const struct kept *old = &sim->questions[question].kept;
    kept.hasty = old->served && old->expiry_s > kept.birth_s && !refresh;
    sim->questions[question].kept = inserted && !denied ? kept : (struct kept){0};
    *denial_of(sim, question) = inserted && denied ? kept : (struct kept){0};
}

static uint64_t counted(const struct sim *sim, enum counter counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < sim->params.workers; i++)
        sum += sim_counted(&sim->nodes[i], counter);
    return sum;
}

bool memory_whole(const struct sim *sim)
{
    return counted(sim, COUNTER_cache_evicted) + counted(sim, COUNTER_cache_expired) == 0;
}

struct kept *memory_alive(struct sim *sim, uint32_t question, bool denial)
{
    struct kept *kept = denial ? denial_of(sim, question) : &sim->questions[question].kept;
    return kept->served && sim->now_us / 1000000 < kept->expiry_s ? kept : NULL;
}

bool memory_has(struct sim *sim, uint32_t question)
{
    return (memory_alive(sim, question, false) || memory_alive(sim, question, true)) &&
           memory_whole(sim);
}

static bool is_stale(const struct sim *sim, const struct kept *kept)
{
    uint64_t now_s = sim->now_us / 1000000;
    return kept->served && now_s >= kept->expiry_s &&
           now_s - kept->expiry_s < sim->settings.cache_stale_max_age / 1000;
}

const struct kept *memory_stale(const struct sim *sim, uint32_t question)
{
    const struct kept *own = &sim->questions[question].kept;
    const struct kept *denial = &sim->denials[question_name(question)][question % FLAGS_MAX];
    bool denied = is_stale(sim, denial);
    if (is_stale(sim, own) && (!denied || own->birth_s >= denial->birth_s))
        return own;
    return denied ? denial : NULL;
}

const struct kept *memory_stale_older(const struct sim *sim, uint32_t question)
{
    const struct kept *own = &sim->questions[question].kept;
    const struct kept *denial = &sim->denials[question_name(question)][question % FLAGS_MAX];
    const struct kept *newer = memory_stale(sim, question);
    const struct kept *older = newer == own ? denial : own;
    return newer && is_stale(sim, older) && !memory_whole(sim) ? older : NULL;
}

void memory_hit(struct sim *sim, struct kept *kept, bool tcp)
{
    struct truth truth;
    sim->tally.hits++;
    bool own = kept == &sim->questions[sim->served[kept->served - 1].question].kept;
    if (own && kept->hits + 1 == REFRESH_HITS) {
        sim->tally.popular++;
        kept->popular_us = sim->now_us;
    }
    if (kept->hits++ > 0 || !kept->refreshed || !own)
        return;
    if (tcp) {
        sim->tally.refreshes_used++;
        return;
    }
    // What is longer than a reply can be is not looked into.
    truth_make(&truth, sim, kept->served - 1);
    if (truth.size + 2 * truth.count + sizeof(struct answer_trailer) <= sim->reply_room)
        sim->tally.refreshes_used++;
    else
        sim->tally.refreshes_used_maybe++;
}

// --- the end -----------------------------------------------------------------------------------

// What the model has under the key of an entry; NULL: it knows no such question.
static const struct kept *kept_of(const struct sim *sim, const struct cache_copy *copy)
{
    const uint8_t *key = copy->bytes + copy->value_len;
    uint8_t own[CACHE_KEY_MAX];
    memcpy(own, key, copy->key_len);
    // A denial stands under type 0; any type has its name and flags.
    bool denial = key[0] == 0 && key[1] == 0;
    own[0] = denial ? (uint8_t)(sim->types[0] >> 8) : own[0];
    own[1] = denial ? (uint8_t)sim->types[0] : own[1];
    int question = asking_question(sim, own, copy->key_len);
    if (question < 0)
        return NULL;
    return denial ? &sim->denials[question_name((uint32_t)question)][question % FLAGS_MAX]
                  : &sim->questions[question].kept;
}

static const char *copy_check(const struct sim *sim, const struct cache_copy *copy)
{
    const struct kept *kept = kept_of(sim, copy);
    struct answer_trailer trailer;
    if (memmem(copy->bytes, copy->value_len, FORGED_MARK, sizeof FORGED_MARK - 1))
        return "an entry holds forged octets";
    if (!kept || !kept->served)
        return "an entry stands there that should not";
    if (kept->birth_s != copy->birth_s || kept->expiry_s != copy->expiry_s)
        return "an entry has wrong times";
    if (!answer_check(copy->bytes, copy->value_len))
        return "an entry is not well-formed";
    memcpy(&trailer, copy->bytes + copy->value_len - sizeof trailer, sizeof trailer);
    if (answer_is_refreshed(copy->bytes, copy->value_len) != kept->refreshed)
        return "an entry does not know whether it was refreshed";
    return judge_same(sim, kept->served - 1, copy->bytes, trailer.message_len)
               ? NULL
               : "an entry is not what a server said last";
}

void memory_check(struct sim *sim)
{
    struct cache_cursor cursor = {0};
    uint64_t entries = 0, expected = 0;
    while (!sim->failed && cache_walk(&sim->cache, &cursor, sim->copy)) {
        const char *why = copy_check(sim, sim->copy);
        entries++;
        if (why)
            sim_fail(sim, "in the cache %s", why);
    }
    for (uint32_t q = 0; q < QUESTIONS_MAX; q++)
        expected += sim->questions[q].kept.served != 0;
    for (uint32_t n = 0; n < NAMES_ALL * FLAGS_MAX; n++)
        expected += sim->denials[n / FLAGS_MAX][n % FLAGS_MAX].served != 0;
    if (memory_whole(sim) && entries != expected)
        sim_fail(sim, "the cache holds %llu entries instead of %llu", (unsigned long long)entries,
                 (unsigned long long)expected);
}
