// SPDX-License-Identifier: MIT
#include "io/edge/local_files.h"

#include "core/policy/hosts.h"
#include "core/settings/format.h"
#include "core/settings/parse.h"
#include "io/edge/regular_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    PIECE_SIZE = 65536,
    DRAFT_SIZE_FIRST = 65536,
    ENTRIES_FIRST = 4096,
};

// A name that is looked for, and all that it ends in, from the whole of it on.
struct search {
    uint64_t entries[SUFFIX_LABELS_MAX];
    unsigned best; // only those before this one are still looked for
    struct local_line *found;
};

struct gathering {
    const struct settings *settings;
    const struct local_listener *listener;
    struct local_draft draft;
    uint64_t *entries;
    size_t entry_count;
    size_t entry_room;
    // The file being read:
    const char *path;
    uint32_t line;
    bool allow;
    struct local_file_counts counts;
    struct block_names names;
    struct search *search;
};

static int draft_grow(struct local_draft *draft)
{
    size_t size = draft->size ? 2 * draft->size : DRAFT_SIZE_FIRST;
    uint8_t *bytes = realloc(draft->bytes, size);
    if (!bytes)
        return -ENOMEM;
    draft->bytes = bytes;
    draft->size = size;
    return 0;
}

static void line_bad(struct gathering *g, const char *why)
{
    if (g->counts.bad++ < LOCAL_LINES_TOLD)
        g->listener->bad_line(g->listener->context, g->path, g->line, why);
}

// --- lines -------------------------------------------------------------------------------------

static int hosts_line(struct gathering *g, const char *text, size_t len)
{
    struct hosts_reading reading;
    struct name name;
    uint32_t ttl = (uint32_t)(g->settings->local_hosts_ttl / 1000);
    enum hosts_line verdict = hosts_line_read(&reading, text, len);
    for (bool first = true; verdict == HOSTS_LINE_TAKEN; first = false) {
        verdict = hosts_name_next(&reading, &name);
        if (verdict != HOSTS_LINE_TAKEN)
            break;
        while (!local_add_host(&g->draft, &name, &reading.address, ttl, first)) {
            if (draft_grow(&g->draft))
                return -ENOMEM;
        }
        g->counts.names++;
    }
    if (verdict == HOSTS_LINE_BAD)
        line_bad(g, reading.why);
    return 0;
}

static int entries_add(struct gathering *g)
{
    if (g->names.count == 0)
        return 0;
    if (g->entry_room - g->entry_count < g->names.count) {
        size_t room = g->entry_room ? 2 * g->entry_room : ENTRIES_FIRST;
        uint64_t *entries = reallocarray(g->entries, room, sizeof *entries);
        if (!entries)
            return -ENOMEM;
        g->entries = entries;
        g->entry_room = room;
    }
    memcpy(g->entries + g->entry_count, g->names.entries, g->names.count * sizeof *g->entries);
    g->entry_count += g->names.count;
    g->counts.names += g->names.count;
    return 0;
}

static int list_line(struct gathering *g, const char *text, size_t len)
{
    local_add_line(&g->draft, text, len, g->allow);
    switch (block_line_read(text, len, g->allow, g->draft.seed, &g->names)) {
    case BLOCK_LINE_SKIPPED:
        g->counts.skipped++;
        break;
    case BLOCK_LINE_BAD:
        line_bad(g, g->names.why);
        break;
    default:
        break;
    }
    return entries_add(g);
}

// --- files -------------------------------------------------------------------------------------

// What is being read of a file: the end of the last piece may be the front of a line.
struct pieces {
    char bytes[PIECE_SIZE];
    size_t len;
    bool overlong; // the line has begun before and is longer than a piece
};

typedef int (*line_verb)(struct gathering *g, const char *text, size_t len);

static int line_apply(struct gathering *g, struct pieces *p, line_verb verb, const char *text,
                      size_t len)
{
    g->line++;
    if (p->overlong) {
        p->overlong = false;
        line_bad(g, "the line is too long");
        return 0;
    }
    return verb(g, text, len);
}

// Takes all whole lines and moves what is left to the front.
static int lines_apply(struct gathering *g, struct pieces *p, line_verb verb)
{
    const char *at = p->bytes;
    const char *end = p->bytes + p->len;
    const char *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        int error = line_apply(g, p, verb, at, (size_t)(newline - at));
        if (error)
            return error;
        at = newline + 1;
    }
    p->len = (size_t)(end - at);
    memmove(p->bytes, at, p->len);
    if (p->len == sizeof p->bytes) {
        p->overlong = true;
        p->len = 0;
    }
    return 0;
}

static int descriptor_read(struct gathering *g, int file, struct pieces *p, line_verb verb)
{
    p->len = 0;
    p->overlong = false;
    for (;;) {
        ssize_t got = read(file, p->bytes + p->len, sizeof p->bytes - p->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        p->len += (size_t)got;
        int error = lines_apply(g, p, verb);
        if (error)
            return error;
    }
    return p->len > 0 || p->overlong ? line_apply(g, p, verb, p->bytes, p->len) : 0;
}

static int file_read(struct gathering *g, const char *path, line_verb verb)
{
    struct pieces *pieces = malloc(sizeof *pieces);
    int file = pieces ? regular_file_open(path) : -ENOMEM;
    int error = file < 0 ? file : 0;
    g->path = path;
    g->line = 0;
    g->counts = (struct local_file_counts){0};
    if (file >= 0) {
        error = descriptor_read(g, file, pieces, verb);
        close(file);
    }
    free(pieces);
    if (error == 0)
        g->listener->file_read(g->listener->context, path, &g->counts);
    return error;
}

static int files_read(struct gathering *g, const struct text_list *paths, const char *option,
                      line_verb verb, char why[static LOCAL_WHY_SIZE])
{
    for (size_t i = 0; i < paths->count; i++) {
        int error = file_read(g, paths->items[i].text, verb);
        if (error) {
            snprintf(why, LOCAL_WHY_SIZE, "%s: %s cannot be read: %s", option, paths->items[i].text,
                     regular_file_error(error));
            return error;
        }
    }
    return 0;
}

// --- all of it ---------------------------------------------------------------------------------

static int records_read(struct gathering *g)
{
    const struct text_list *records = &g->settings->local_records;
    for (size_t i = 0; i < records->count; i++) {
        struct text_record record;
        char fault[TEXT_WHY_SIZE];
        // settings_parse has read it before.
        const char *text = records->items[i].text;
        if (!text_record_read(&record, text, strlen(text), fault))
            return -EINVAL;
        while (!local_add_record(&g->draft, &record, (uint32_t)i)) {
            if (draft_grow(&g->draft))
                return -ENOMEM;
        }
    }
    return 0;
}

static int special_read(struct gathering *g)
{
    while (!local_add_special(&g->draft, g->settings)) {
        if (draft_grow(&g->draft))
            return -ENOMEM;
    }
    return 0;
}

// Says which record of the settings local_build would not take.
static void contradiction_tell(const struct gathering *g, const struct local_making *making,
                               char why[static LOCAL_WHY_SIZE])
{
    const struct text_list *records = &g->settings->local_records;
    char quoted[SETTINGS_QUOTE_SIZE];
    if (making->tag >= records->count) {
        snprintf(why, LOCAL_WHY_SIZE, "local.hosts: %s", making->why);
        return;
    }
    const struct text_item *record = &records->items[making->tag];
    settings_quote(quoted, record->text, strlen(record->text));
    if (record->line > 0)
        snprintf(why, LOCAL_WHY_SIZE, "%.400s:%u: local.records: %s: %s", g->settings->file,
                 record->line, quoted, making->why);
    else
        snprintf(why, LOCAL_WHY_SIZE, "local.records: %s: %s", quoted, making->why);
}

static int block_make(struct gathering *g, struct local_files *files,
                      char why[static LOCAL_WHY_SIZE])
{
    struct local_making making = {
        .draft = &g->draft,
        .entries = g->entries,
        .entry_count = g->entry_count,
        .block_answer = g->settings->local_block_answer,
    };
    files->size = local_size(&making);
    // Of a fresh mapping: zeros, and given back as a whole when its time is over.
    files->memory =
        mmap(NULL, files->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (files->memory == MAP_FAILED) {
        files->memory = NULL;
        return -ENOMEM;
    }
    files->local = local_build(&making, files->memory);
    if (files->local)
        return 0;
    contradiction_tell(g, &making, why);
    return -EINVAL;
}

int local_files_read(struct local_files *files, const struct settings *settings,
                     const struct local_listener *listener, char why[static LOCAL_WHY_SIZE])
{
    struct gathering *g = calloc(1, sizeof *g);
    uint64_t seed;
    int error = -ENOMEM;
    snprintf(why, LOCAL_WHY_SIZE, "no memory for local names");
    *files = (struct local_files){0};
    if (!g || getrandom(&seed, sizeof seed, 0) != sizeof seed)
        goto done;
    g->settings = settings;
    g->listener = listener;
    local_draft(&g->draft, seed);
    error = records_read(g);
    if (error == 0)
        error = special_read(g);
    if (error == 0)
        error = files_read(g, &settings->local_hosts, "local.hosts", hosts_line, why);
    if (error == 0)
        error = files_read(g, &settings->local_block, "local.block", list_line, why);
    g->allow = true;
    if (error == 0)
        error = files_read(g, &settings->local_allow, "local.allow", list_line, why);
    if (error == 0)
        error = block_make(g, files, why);
    free(g->draft.bytes);
    free(g->entries);
done:
    free(g);
    if (error)
        local_files_free(files);
    return error;
}

void local_files_free(struct local_files *files)
{
    if (files->memory)
        munmap(files->memory, files->size);
    *files = (struct local_files){0};
}

// --- looking for one line ------------------------------------------------------------------------

static int search_line(struct gathering *g, const char *text, size_t len)
{
    struct search *search = g->search;
    (void)block_line_read(text, len, false, g->draft.seed, &g->names);
    for (size_t i = 0; i < g->names.count; i++) {
        for (unsigned at = 0; at < search->best; at++) {
            if (g->names.entries[i] != search->entries[at])
                continue;
            search->best = at;
            *search->found = (struct local_line){g->path, g->line};
        }
    }
    return 0;
}

static void bad_line_ignore(void *context, const char *path, uint32_t line, const char *why)
{
    (void)context;
    (void)path;
    (void)line;
    (void)why;
}

static void file_read_ignore(void *context, const char *path,
                             const struct local_file_counts *counts)
{
    (void)context;
    (void)path;
    (void)counts;
}

int local_files_search(const struct text_list *paths, const struct name *name,
                       struct local_line *found)
{
    static const struct local_listener silent = {bad_line_ignore, file_read_ignore, NULL};
    struct gathering *g = calloc(1, sizeof *g);
    struct search search = {.found = found};
    struct suffixes parts;
    uint8_t lower[NAME_MAX_LEN];
    char why[LOCAL_WHY_SIZE];
    *found = (struct local_line){0};
    if (!g)
        return -ENOMEM;
    g->listener = &silent;
    g->search = &search;
    local_draft(&g->draft, 0);
    name_lower(lower, name->bytes, name->len);
    suffixes_find(&parts, g->draft.seed, lower);
    for (; search.best < parts.count; search.best++)
        search.entries[search.best] =
            block_entry(g->draft.seed, lower + parts.places[search.best], false);
    int error = files_read(g, paths, "local.block", search_line, why);
    free(g);
    return error;
}
