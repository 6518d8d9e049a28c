// SPDX-License-Identifier: MIT
#include "core/policy/local.h"
#include "core/settings/parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

// Random lists, records and forward zones over few labels, so that names lie in each other often,
// and every name that can be asked for held against a model that goes through all of them one by
// one.
//
//   prop_local             the runs of the test, TAP
//   prop_local SEED        one run, as a failed one names it

enum {
    RUNS = 400,
    ASKED = 400,
    THINGS_MAX = 3000,
    LABELS_MAX = 5,
    DRAFT_SIZE = 1 << 20,
};

enum thing_kind { THING_RECORD, THING_BLOCK, THING_ALLOW, THING_ZONE, THING_KINDS };

struct thing {
    enum thing_kind kind;
    struct name name;
};

struct run {
    uint64_t random;
    struct thing things[THINGS_MAX];
    size_t count;
    bool special;
    struct forward_zone zones[THINGS_MAX];
    struct settings settings;
    struct local_draft draft;
    uint64_t entries[THINGS_MAX];
    size_t entry_count;
    void *memory;
    const struct local *local;
};

static uint64_t random_of(struct run *run)
{
    uint64_t z = run->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(struct run *run, size_t bound)
{
    return (size_t)(random_of(run) % bound);
}

// A name of few labels, at times one that lies in a special zone.
static void name_text(struct run *run, char *text, size_t size)
{
    static const char *const labels[] = {
        "a", "b", "c", "ads", "x-1", "a-label-of-many-octets", "exactly7", "seven77"};
    static const char *const ends[] = {"test",          "localhost",
                                       "home.arpa",     "10.in-addr.arpa",
                                       "resolver.arpa", "1.0.0.127.in-addr.arpa",
                                       "onion",         "lan"};
    size_t count = 1 + below(run, LABELS_MAX), len = 0;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? "." : "",
                                labels[below(run, sizeof labels / sizeof *labels)]);
    if (below(run, 4) == 0)
        snprintf(text + len, size - len, ".%s", ends[below(run, sizeof ends / sizeof *ends)]);
}

static void name_random(struct run *run, struct name *name)
{
    char text[256];
    name_text(run, text, sizeof text);
    bool parsed = name_parse(name, text, strlen(text));
    assert(parsed);
}

// --- the model ---------------------------------------------------------------------------------

static bool holds(const struct run *run, enum thing_kind kind, const struct name *name)
{
    for (size_t i = 0; i < run->count; i++) {
        if (run->things[i].kind == kind && name_equal(&run->things[i].name, name))
            return true;
    }
    return false;
}

// Of a special name: -1 it is none, 0 it goes to a forward zone, 1 it is answered.
static int special_at(const struct run *run, const struct name *name)
{
    if (!run->special)
        return -1;
    for (size_t i = 0; i < special_count; i++) {
        struct name zone;
        special_name(&specials[i], &zone);
        if (name_equal(&zone, name))
            return !holds(run, THING_ZONE, name);
    }
    return -1;
}

static bool lies_in_special(const struct name *name)
{
    for (size_t i = 0; i < special_count; i++) {
        struct name zone;
        special_name(&specials[i], &zone);
        if (name_within(name, &zone))
            return true;
    }
    return false;
}

static enum local_source expected(const struct run *run, const struct name *name)
{
    if (holds(run, THING_RECORD, name))
        return LOCAL_OWN;
    int special = -1, blocked = -1;
    for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
        struct name suffix = {.len = (uint8_t)(name->len - at)};
        memcpy(suffix.bytes, name->bytes + at, suffix.len);
        if (special < 0 && run->special && holds(run, THING_ZONE, &suffix) &&
            lies_in_special(&suffix))
            special = 0;
        if (special < 0)
            special = special_at(run, &suffix);
        if (blocked < 0 && holds(run, THING_ALLOW, &suffix))
            blocked = 0;
        if (blocked < 0 && holds(run, THING_BLOCK, &suffix))
            blocked = 1;
    }
    return special == 1 ? LOCAL_OWN : blocked == 1 ? LOCAL_BLOCKED : LOCAL_NOWHERE;
}

// --- the run -----------------------------------------------------------------------------------

static void thing_add(struct run *run)
{
    static struct block_names names;
    char line[300], text[256];
    struct thing *thing = &run->things[run->count++];
    thing->kind = (enum thing_kind)(below(run, THING_KINDS + 1) % THING_KINDS);
    name_text(run, text, sizeof text);
    bool good = name_parse(&thing->name, text, strlen(text));
    if (thing->kind == THING_RECORD) {
        struct text_record record = {
            .owner = thing->name, .ttl = 60, .type = TYPE_A, .data_len = 4};
        good &= local_add_record(&run->draft, &record, 0);
    } else if (thing->kind == THING_ZONE) {
        run->zones[run->settings.forward.count++].zone = thing->name;
    } else {
        bool rule = below(run, 2), allow = thing->kind == THING_ALLOW;
        snprintf(line, sizeof line, "%s%s%s", rule ? allow ? "@@||" : "||" : "", text,
                 rule ? "^" : "");
        good &= block_line_read(line, strlen(line), allow && !rule, run->draft.seed, &names) ==
                BLOCK_LINE_TAKEN;
        run->entries[run->entry_count++] = names.entries[0];
    }
    assert(good);
}

static void make(struct run *run)
{
    size_t count = below(run, 3) ? below(run, 60) : below(run, THINGS_MAX);
    settings_init(&run->settings);
    run->settings.forward.items = run->zones;
    run->special = run->settings.local_special_names = below(run, 4) != 0;
    local_draft(&run->draft, random_of(run));
    run->draft.size = DRAFT_SIZE;
    run->draft.bytes = calloc(1, DRAFT_SIZE);
    assert(run->draft.bytes);
    while (run->count < count)
        thing_add(run);
    bool room = local_add_special(&run->draft, &run->settings);
    assert(room);
    struct local_making making = {
        .draft = &run->draft, .entries = run->entries, .entry_count = run->entry_count};
    size_t size = (local_size(&making) + 63) / 64 * 64;
    run->memory = aligned_alloc(64, size);
    assert(run->memory);
    memset(run->memory, 0, size);
    run->local = local_build(&making, run->memory);
    assert(run->local);
}

// Letters of the question are of any case.
static enum local_source ask(struct run *run, const struct name *name)
{
    static const struct answer_limits limits = {.udp_payload_max = 512};
    uint8_t message[MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4] = {0}, out[512];
    struct name_case name_case;
    struct query query = {.message = message,
                          .type = TYPE_A,
                          .class = CLASS_IN,
                          .name_len = name->len,
                          .udp_size = 512};
    struct key key;
    enum local_source source;
    for (size_t i = 0; i < sizeof name_case.bits; i++)
        name_case.bits[i] = (uint8_t)random_of(run);
    memcpy(message + MESSAGE_HEADER_LEN, name->bytes, name->len);
    name_case_apply(&name_case, message + MESSAGE_HEADER_LEN, name->len);
    key_make(&key, &query, 1);
    size_t len = local_answer(run->local, &query, &key, 0, &limits, out, &source);
    assert((len == 0) == (source == LOCAL_NOWHERE));
    return source;
}

// Returns false, and says why, if a name is something else than the model says.
static bool run_one(uint64_t seed)
{
    static const char *const words[] = {"not local", "local", "blocked"};
    struct run *run = calloc(1, sizeof *run);
    bool good = true;
    assert(run);
    run->random = seed;
    make(run);
    for (size_t i = 0; i < ASKED && good; i++) {
        struct name name;
        name_random(run, &name);
        enum local_source is = ask(run, &name), wanted = expected(run, &name);
        good = is == wanted;
        if (!good) {
            char text[NAME_TEXT_SIZE];
            name_format(&name, text);
            printf("# seed %llu: %s is %s, not %s\n", (unsigned long long)seed, text, words[is],
                   words[wanted]);
        }
    }
    free(run->memory);
    free(run->draft.bytes);
    free(run);
    return good;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return !run_one(strtoull(argv[1], NULL, 10));
    bool good = true;
    printf("1..1\n");
    for (uint64_t seed = 1; seed <= RUNS && good; seed++)
        good = run_one(seed);
    printf("%sok 1 - %d runs of %d names\n", good ? "" : "not ", RUNS, ASKED);
    return !good;
}
