// SPDX-License-Identifier: MIT
#include "tests/scenario/names.h"

#include <stdlib.h>

enum { DRAFT_SIZE = 1 << 16 };

void names_record(const struct script *script, struct names *names, char *text)
{
    if (names->record_count == NAMES_MAX)
        script_fail(script, "more than %d records", NAMES_MAX);
    names->records[names->record_count++] = text;
}

void names_block(const struct script *script, struct names *names, char *text)
{
    if (names->blocked_count == NAMES_MAX)
        script_fail(script, "more than %d names to block", NAMES_MAX);
    names->blocked[names->blocked_count++] = text;
}

static void record_add(const struct script *script, struct local_draft *draft, const char *text)
{
    struct text_record record;
    char why[TEXT_WHY_SIZE];
    if (!text_record_read(&record, text, strlen(text), why))
        script_fail(script, "\"%s\" is no record: %s", text, why);
    if (!local_add_record(draft, &record, 0))
        script_fail(script, "too many records");
}

static uint64_t entry_of(const struct script *script, struct local_draft *draft, const char *text)
{
    static struct block_names names; // the last of its kind is as good as any
    if (block_line_read(text, strlen(text), false, draft->seed, &names) != BLOCK_LINE_TAKEN ||
        names.count != 1)
        script_fail(script, "\"%s\" is no name to block", text);
    local_add_line(draft, text, strlen(text), false);
    return names.entries[0];
}

const struct local *names_make(const struct script *script, const struct names *names)
{
    struct local_draft draft;
    uint64_t entries[NAMES_MAX];
    if (names->record_count == 0 && names->blocked_count == 0)
        return NULL;
    local_draft(&draft, script->seed);
    draft.bytes = script_memory(script, DRAFT_SIZE);
    draft.size = DRAFT_SIZE;
    for (size_t i = 0; i < names->record_count; i++)
        record_add(script, &draft, names->records[i]);
    for (size_t i = 0; i < names->blocked_count; i++)
        entries[i] = entry_of(script, &draft, names->blocked[i]);
    struct local_making making = {
        .draft = &draft, .entries = entries, .entry_count = names->blocked_count};
    const struct local *local = local_build(&making, script_memory(script, local_size(&making)));
    if (!local)
        script_fail(script, "the records contradict each other: %s", making.why);
    return local;
}
