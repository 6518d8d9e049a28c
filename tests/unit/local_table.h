// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/hosts.h"
#include "core/policy/local.h"
#include "core/settings/format.h"
#include "core/settings/parse.h"

#include "tests/unit/packet.h"

// Local names for tests, made of texts: each line of `records` is a record, `hosts` is a hosts
// file, `block` and `allow` are lists, `zones` are names with spaces between.

struct world {
    const char *records;
    const char *hosts;
    const char *block;
    const char *allow;
    const char *zones;
    uint32_t block_answer;
    bool special;
};

struct made {
    const struct local *local; // NULL: `making` says why
    struct local_making making;
    void *memory;
};

#define WORLD_DRAFT_SIZE  ((size_t)4 << 20)
#define WORLD_ENTRIES_MAX 4096
#define WORLD_ZONES_MAX   8
#define WORLD_HOSTS_TTL_S 60

static inline void *world_memory(size_t size)
{
    size = (size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    return memory;
}

// The next line of a text; false: there is none.
static inline bool world_line(const char **at, const char **line, size_t *len)
{
    if (!*at || **at == '\0')
        return false;
    *line = *at;
    *len = strcspn(*at, "\n");
    *at += *len + ((*at)[*len] == '\n');
    return true;
}

static inline void world_records(struct local_draft *draft, const char *text)
{
    const char *line;
    size_t len;
    for (uint32_t tag = 0; world_line(&text, &line, &len); tag++) {
        struct text_record record;
        char why[TEXT_WHY_SIZE];
        if (!text_record_read(&record, line, len, why))
            fail_msg("%s", why);
        assert_true(local_add_record(draft, &record, tag));
    }
}

static inline void world_hosts(struct local_draft *draft, const char *text)
{
    const char *line;
    size_t len;
    while (world_line(&text, &line, &len)) {
        struct hosts_reading reading;
        struct name name;
        assert_int_equal(hosts_line_read(&reading, line, len), HOSTS_LINE_TAKEN);
        for (bool first = true; hosts_name_next(&reading, &name) == HOSTS_LINE_TAKEN; first = false)
            assert_true(local_add_host(draft, &name, &reading.address, WORLD_HOSTS_TTL_S, first));
    }
}

static inline size_t world_list(struct local_draft *draft, const char *text, bool allow,
                                uint64_t *entries, size_t count)
{
    static struct block_names names;
    const char *line;
    size_t len;
    while (world_line(&text, &line, &len)) {
        assert_int_equal(block_line_read(line, len, allow, draft->seed, &names), BLOCK_LINE_TAKEN);
        local_add_line(draft, line, len, allow);
        assert_in_range(count + names.count, 0, WORLD_ENTRIES_MAX);
        memcpy(entries + count, names.entries, names.count * sizeof *entries);
        count += names.count;
    }
    return count;
}

static inline struct made world_make(const struct world *world)
{
    struct made made = {0};
    struct local_draft draft;
    struct settings settings;
    struct forward_zone zones[WORLD_ZONES_MAX];
    static uint64_t entries[WORLD_ENTRIES_MAX];
    size_t len, count;
    const char *word, *at = world->zones ? world->zones : "";
    settings_init(&settings);
    settings.local_special_names = world->special;
    settings.forward = (struct forward_zone_list){zones, 0};
    while ((word = settings_next_word(&at, &len))) {
        assert_in_range(settings.forward.count, 0, WORLD_ZONES_MAX - 1);
        assert_true(name_parse(&zones[settings.forward.count++].zone, word, len));
    }
    local_draft(&draft, 42);
    draft.bytes = world_memory(WORLD_DRAFT_SIZE);
    draft.size = WORLD_DRAFT_SIZE;
    world_records(&draft, world->records);
    assert_true(local_add_special(&draft, &settings));
    world_hosts(&draft, world->hosts);
    count = world_list(&draft, world->block, false, entries, 0);
    count = world_list(&draft, world->allow, true, entries, count);
    made.making = (struct local_making){.draft = &draft,
                                        .entries = entries,
                                        .entry_count = count,
                                        .block_answer = world->block_answer};
    made.memory = world_memory(local_size(&made.making));
    made.local = local_build(&made.making, made.memory);
    made.making.draft = NULL;
    free(draft.bytes);
    return made;
}
