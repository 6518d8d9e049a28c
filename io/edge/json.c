// SPDX-License-Identifier: MIT
#include "io/edge/json.h"

#include <assert.h>
#include <inttypes.h>

const struct json_layout json_line = {"", ", ", ""};
const struct json_layout json_lines = {"\n  ", ",\n  ", "\n"};

void json_init(struct json *j, FILE *to)
{
    *j = (struct json){.to = to};
}

size_t json_escape(char c, char escape[static JSON_ESCAPE_SIZE])
{
    unsigned char octet = (unsigned char)c;
    if (c == '"' || c == '\\')
        return (size_t)snprintf(escape, JSON_ESCAPE_SIZE, "\\%c", c);
    if (octet < 0x20 || octet == 0x7f)
        return (size_t)snprintf(escape, JSON_ESCAPE_SIZE, "\\u%04x", octet);
    escape[0] = c;
    escape[1] = '\0';
    return 1;
}

static void text_write(struct json *j, const char *text)
{
    char escape[JSON_ESCAPE_SIZE];
    fputc('"', j->to);
    for (; *text; text++)
        fwrite(escape, 1, json_escape(*text, escape), j->to);
    fputc('"', j->to);
}

// What stands in front of a thing: what separates it from the one before, and its key. False:
// nothing is written.
static bool begin(struct json *j, const char *key)
{
    if (!j->to)
        return false;
    bool in_object = j->depth > 0 && j->open[j->depth - 1].close == '}';
    assert(in_object == (key != NULL));
    if (j->depth > 0) {
        const struct json_layout *layout = j->open[j->depth - 1].layout;
        fputs(j->open[j->depth - 1].begun ? layout->next : layout->first, j->to);
        j->open[j->depth - 1].begun = true;
    }
    if (key) {
        text_write(j, key);
        fputs(": ", j->to);
    }
    return true;
}

static void container_open(struct json *j, const char *key, const char *ends,
                           const struct json_layout *layout)
{
    if (!begin(j, key))
        return;
    assert(j->depth < JSON_DEPTH_MAX);
    j->open[j->depth].layout = layout;
    j->open[j->depth].close = ends[1];
    j->open[j->depth].begun = false;
    j->depth++;
    fputc(ends[0], j->to);
}

void json_object(struct json *j, const char *key, const struct json_layout *layout)
{
    container_open(j, key, "{}", layout);
}

void json_list(struct json *j, const char *key, const struct json_layout *layout)
{
    container_open(j, key, "[]", layout);
}

void json_close(struct json *j)
{
    if (!j->to)
        return;
    assert(j->depth > 0);
    j->depth--;
    fprintf(j->to, "%s%c%s", j->open[j->depth].layout->last, j->open[j->depth].close,
            j->depth == 0 ? "\n" : "");
}

void json_string(struct json *j, const char *key, const char *text)
{
    if (begin(j, key))
        text_write(j, text);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    if (begin(j, key))
        fprintf(j->to, "%" PRIu64, value);
}

void json_signed(struct json *j, const char *key, int64_t value)
{
    if (begin(j, key))
        fprintf(j->to, "%" PRId64, value);
}

void json_real(struct json *j, const char *key, double value, int decimals)
{
    if (begin(j, key))
        fprintf(j->to, "%.*f", decimals, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    if (begin(j, key))
        fputs(value ? "true" : "false", j->to);
}

void json_null(struct json *j, const char *key)
{
    if (begin(j, key))
        fputs("null", j->to);
}
