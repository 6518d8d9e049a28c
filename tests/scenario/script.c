// SPDX-License-Identifier: MIT
#include "tests/scenario/script.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 2000, ITEMS_MAX = 64, SPREAD_MAX = 10000 };

void script_fail(const struct script *script, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("%s:%u: ", script->path, script->saying ? script->saying : script->line);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    fflush(stdout);
    // Not exit: what is left in memory is of no interest now.
    _exit(1);
}

void *script_room(const struct script *script, size_t size)
{
    size = (size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size ? size : 64);
    if (!memory)
        script_fail(script, "out of memory");
    return memory;
}

void *script_memory(const struct script *script, size_t size)
{
    return memset(script_room(script, size), 0, size);
}

void *script_region(const struct script *script, size_t size)
{
    // Whose pages come with their first use.
    uint8_t *memory = calloc(1, size + 63);
    if (!memory)
        script_fail(script, "out of memory");
    return memory + (-(uintptr_t)memory & 63);
}

static char *file_read(const struct script *script)
{
    FILE *file = fopen(script->path, "r");
    char *text = NULL;
    size_t size = 0, len;
    FILE *copy = open_memstream(&text, &size);
    char piece[4096];
    if (!file || !copy)
        script_fail(script, "cannot be read: %s", strerror(errno));
    while ((len = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, len, copy);
    fclose(file);
    fclose(copy);
    return text;
}

// The first paragraph of comments, without the signs and as one line.
static char *title_of(const char *text)
{
    char *title = strdup("");
    for (; *text == '#'; text += strcspn(text, "\n"), text += *text == '\n') {
        const char *line = text + 1 + strspn(text + 1, " ");
        int len = (int)strcspn(line, "\n");
        char *longer;
        if (asprintf(&longer, "%s%s%.*s", title, *title ? " " : "", len, line) < 0)
            abort();
        free(title);
        title = longer;
    }
    return title;
}

struct script script_open(const char *path)
{
    struct script script = {.path = path};
    script.text = script.at = file_read(&script);
    script.title = title_of(script.text);
    return script;
}

// Cuts the next line out of the file; NULL: that was all.
static char *line_next(struct script *script)
{
    char *line = script->at;
    if (*line == '\0')
        return NULL;
    char *end = line + strcspn(line, "\n");
    script->at = *end ? end + 1 : end;
    *end = '\0';
    script->line++;
    return line;
}

static bool is_blank(const char *line)
{
    line += strspn(line, " \t");
    return *line == '\0' || *line == '#';
}

// Is the line that comes next indented, and so one more item?
static bool goes_on(const struct script *script)
{
    return *script->at == ' ' || *script->at == '\t';
}

// Cuts the next word out of a line: what stands between spaces or quotes. NULL at its end.
static char *word_next(const struct script *script, char **at)
{
    char *word = *at + strspn(*at, " \t");
    if (*word == '\0' || *word == '#')
        return NULL;
    char *end = word + strcspn(word, " \t");
    if (*word == '"') {
        end = strchr(word + 1, '"');
        if (!end)
            script_fail(script, "a quote without its end");
        end++;
    }
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static struct phrase *item_begin(const struct script *script, struct statement *statement)
{
    if (statement->item_count == ITEMS_MAX)
        script_fail(script, "more than %d items", ITEMS_MAX);
    struct phrase *item = &statement->items[statement->item_count++];
    item->words = script_memory(script, WORDS_MAX * sizeof *item->words);
    return item;
}

// Takes the marks from a word's end. True: the phrase ends with it.
static bool marks_take(char *word, bool in_head)
{
    size_t len = strlen(word);
    char mark = len > 0 && *word != '"' ? word[len - 1] : '\0';
    bool address = len > 1 && word[len - 2] == ':';
    bool ends = mark == ';' || (mark == ':' && in_head && !address);
    if (ends || mark == ',')
        word[len - 1] = '\0';
    return ends;
}

// Returns whether the line ends with a mark that ends the phrase.
static bool words_take(const struct script *script, struct statement *statement,
                       struct phrase *phrase, char *line)
{
    bool ends = false;
    char *word;
    while ((word = word_next(script, &line))) {
        if (!phrase)
            phrase = item_begin(script, statement);
        ends = marks_take(word, phrase == &statement->head);
        if (*word && phrase->count == WORDS_MAX)
            script_fail(script, "too many words");
        if (*word)
            phrase->words[phrase->count++] = word;
        if (ends)
            phrase = NULL;
    }
    return ends;
}

bool script_next(struct script *script, struct statement *statement)
{
    char *line;
    do
        line = line_next(script);
    while (line && is_blank(line));
    script->saying = script->line;
    if (!line)
        return false;
    *statement = (struct statement){.line = script->line};
    statement->items = script_memory(script, ITEMS_MAX * sizeof *statement->items);
    statement->head.words = script_memory(script, WORDS_MAX * sizeof *statement->head.words);
    bool open = words_take(script, statement, &statement->head, line);
    while (open && goes_on(script)) {
        line = line_next(script);
        if (!is_blank(line))
            (void)words_take(script, statement, NULL, line);
    }
    return true;
}

// --- phrases -----------------------------------------------------------------------------------

const char *phrase_peek(const struct phrase *phrase)
{
    return phrase->at < phrase->count ? phrase->words[phrase->at] : NULL;
}

const char *phrase_next(struct phrase *phrase)
{
    return phrase->at < phrase->count ? phrase->words[phrase->at++] : NULL;
}

const char *phrase_need(const struct script *script, struct phrase *phrase, const char *what)
{
    const char *word = phrase_next(phrase);
    if (!word)
        script_fail(script, "%s is missing at the end", what);
    return word;
}

bool phrase_take(struct phrase *phrase, const char *word)
{
    const char *next = phrase_peek(phrase);
    bool is = next && strcmp(next, word) == 0;
    phrase->at += is;
    return is;
}

void phrase_expect(const struct script *script, struct phrase *phrase, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, " ");
        const char *next = phrase_next(phrase);
        if (!next || strlen(next) != len || memcmp(next, words, len) != 0)
            script_fail(script, "\"%s\" where \"%.*s\" should stand", next ? next : "the end",
                        (int)len, words);
        words += len + (words[len] == ' ');
    }
}

void phrase_end(const struct script *script, const struct phrase *phrase)
{
    const char *next = phrase_peek(phrase);
    if (next)
        script_fail(script, "\"%s\" is not understood here", next);
}

static char *text_from(const struct phrase *phrase, size_t at)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    for (size_t i = at; i < phrase->count; i++)
        fprintf(out, "%s%s", i > at ? " " : "", phrase->words[i]);
    fclose(out);
    return text;
}

char *phrase_text(const struct phrase *phrase)
{
    return text_from(phrase, 0);
}

char *phrase_rest(struct phrase *phrase)
{
    size_t at = phrase->at;
    phrase->at = phrase->count;
    return text_from(phrase, at);
}

// --- numbers -----------------------------------------------------------------------------------

uint64_t script_number(const struct script *script, const char *word)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end != '\0' || errno)
        script_fail(script, "\"%s\" is no number", word);
    return number;
}

struct range script_range(const struct script *script, const char *word)
{
    char *copy = strdup(word);
    char *dots = strstr(copy, "..");
    struct range range;
    if (dots)
        *dots = '\0';
    range.min = range.max = script_number(script, copy);
    if (dots)
        range.max = script_number(script, dots + 2);
    free(copy);
    if (range.max < range.min)
        script_fail(script, "\"%s\" ends before it begins", word);
    return range;
}

// Microseconds in the unit that stands there; 0: it is none.
static uint64_t unit_us(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"us", 1},       {"ms", 1000},      {"s", 1000000},
                 {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(units[i].name, unit) == 0)
            return units[i].us;
    }
    return 0;
}

uint64_t script_duration_us(const struct script *script, const char *word)
{
    char *unit;
    double number = strtod(word, &unit);
    if (!isdigit((unsigned char)*word) || unit_us(unit) == 0)
        script_fail(script, "\"%s\" is no time: give a number with ms, s, m, h or d", word);
    return (uint64_t)(number * (double)unit_us(unit) + 0.5);
}

struct range script_time(const struct script *script, const char *word)
{
    const char *dots = strstr(word, "..");
    if (!dots) {
        uint64_t us = script_duration_us(script, word);
        return (struct range){us, us};
    }
    const char *unit = dots + 2 + strspn(dots + 2, "0123456789.");
    char first[64];
    int len = (int)(dots - word);
    bool bare = isdigit((unsigned char)dots[-1]);
    snprintf(first, sizeof first, "%.*s%s", len, word, bare ? unit : "");
    struct range range = {script_duration_us(script, first), script_duration_us(script, dots + 2)};
    if (range.max < range.min)
        script_fail(script, "\"%s\" ends before it begins", word);
    return range;
}

static bool is_octets(const char *word)
{
    size_t len = strspn(word, "0123456789abcdefABCDEF");
    return len > 0 && len % 2 == 0 && word[len] == '\0';
}

size_t script_octets(const struct script *script, struct phrase *phrase, uint8_t *octets,
                     size_t size)
{
    size_t count = 0;
    while (phrase_peek(phrase) && is_octets(phrase_peek(phrase))) {
        for (const char *at = phrase_next(phrase); *at; at += 2) {
            char pair[3] = {at[0], at[1]};
            if (count == size)
                script_fail(script, "more than %zu octets", size);
            octets[count++] = (uint8_t)strtoul(pair, NULL, 16);
        }
    }
    return count;
}

// --- many words in one -------------------------------------------------------------------------

static bool braces_find(const struct script *script, const char *word, struct range *range,
                        const char **from, const char **behind)
{
    *from = strchr(word, '{');
    *behind = *from ? strchr(*from, '}') : NULL;
    if (!*behind)
        return false;
    char *inner = strndup(*from + 1, (size_t)(*behind - *from) - 1);
    *range = script_range(script, inner);
    free(inner);
    if (range->max - range->min >= SPREAD_MAX)
        script_fail(script, "\"%s\" is more than %d words", word, SPREAD_MAX);
    (*behind)++;
    return true;
}

size_t script_spread(const struct script *script, const char *word)
{
    struct range range;
    const char *from, *behind;
    return braces_find(script, word, &range, &from, &behind) ? range.max - range.min + 1 : 1;
}

char *script_spread_word(const struct script *script, const char *word, size_t index)
{
    struct range range;
    const char *from, *behind;
    char *spread;
    if (!braces_find(script, word, &range, &from, &behind))
        return strdup(word);
    if (asprintf(&spread, "%.*s%" PRIu64 "%s", (int)(from - word), word, range.min + index,
                 behind) < 0)
        abort();
    return spread;
}
