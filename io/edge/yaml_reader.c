// SPDX-License-Identifier: MIT
#include "io/edge/yaml_reader.h"

#include "core/settings/format.h"
#include "core/settings/settings.h"

#include <errno.h>
#include <string.h>

#define SKIP_DEPTH_MAX 32

bool yaml_reader_open(struct yaml_reader *r, const char *text, size_t len,
                      struct settings_report *report)
{
    *r = (struct yaml_reader){.report = report, .text = text, .len = len};
    if (!yaml_parser_initialize(&r->parser))
        return false;
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    return true;
}

void yaml_reader_close(struct yaml_reader *r)
{
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
}

static uint32_t line_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

uint32_t yaml_reader_line(const struct yaml_reader *r)
{
    return line_of(&r->event.start_mark);
}

void yaml_reader_no_memory(struct yaml_reader *r)
{
    settings_report_add(r->report, 0, "out of memory");
    r->error = -ENOMEM;
    r->broken = true;
}

// The reader (characters, not syntax) knows an offset only.
static uint32_t line_at_offset(const struct yaml_reader *r, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset && i < r->len; i++)
        line += r->text[i] == '\n';
    return line;
}

// True if the line holds what `test` looks for: beginners' mistakes that a parser words badly.
static bool line_has(const struct yaml_reader *r, uint32_t line, const char *what, bool at_start)
{
    const char *at = r->text;
    const char *end = r->text + r->len;
    while (--line > 0) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return false;
        at = newline + 1;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline)
        end = newline;
    if (at_start)
        for (const char *c = at; c < end; c++)
            if (*c != ' ' && *c != '\t')
                end = c;
    return memmem(at, (size_t)(end - at), what, strlen(what));
}

static const char *syntax_hint(const struct yaml_reader *r, uint32_t line)
{
    if (line_has(r, line, "\t", true))
        return " (indent with spaces, not with tabs)";
    if (line_has(r, line, "::", false))
        return " (put an IPv6 address between quotes, as in \"[::1]:53\")";
    return "";
}

// What was told about this line before is most likely the same fault, worded worse.
static void forget_line(struct settings_report *report, uint32_t line)
{
    while (report->count > 0 && report->count <= SETTINGS_ERRORS_MAX &&
           report->errors[report->count - 1].line == line)
        report->count--;
}

static void tell_syntax(struct yaml_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        yaml_reader_no_memory(r);
        return;
    }
    const char *problem = p->problem ? p->problem : "the parser gave up";
    r->broken = true;
    if (p->error == YAML_READER_ERROR) {
        settings_report_add(r->report, line_at_offset(r, p->problem_offset), "this is not YAML: %s",
                            problem);
        return;
    }
    uint32_t line = line_of(&p->problem_mark);
    const char *hint = syntax_hint(r, line);
    forget_line(r->report, line);
    if (p->context && line_of(&p->context_mark) != line)
        settings_report_add(r->report, line, "this is not YAML: %s, %s that began on line %u%s",
                            problem, p->context, line_of(&p->context_mark), hint);
    else
        settings_report_add(r->report, line, "this is not YAML: %s%s", problem, hint);
}

bool yaml_reader_next(struct yaml_reader *r)
{
    if (r->broken)
        return false;
    yaml_event_delete(&r->event);
    memset(&r->event, 0, sizeof r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    memset(&r->event, 0, sizeof r->event);
    tell_syntax(r);
    return false;
}

// No setting is nested, and the parser takes quadratic time for what is nested very deeply: so that
// ends the reading.
void yaml_reader_skip(struct yaml_reader *r)
{
    size_t depth = 0;
    do {
        yaml_event_type_t type = r->event.type;
        depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
        if (depth > SKIP_DEPTH_MAX) {
            settings_report_add(r->report, yaml_reader_line(r),
                                "lists or mappings are nested too deeply");
            r->broken = true;
        }
    } while (depth > 0 && yaml_reader_next(r));
}

const char *yaml_reader_noun(const struct yaml_reader *r)
{
    if (r->event.type == YAML_MAPPING_START_EVENT)
        return "a mapping";
    return r->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "a single value";
}

void yaml_reader_refuse_extras(struct yaml_reader *r)
{
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_ALIAS_EVENT) {
        settings_report_add(r->report, yaml_reader_line(r),
                            "an alias (*%.40s) is not supported here: write the value out",
                            (const char *)e->data.alias.anchor);
    }
    if (anchor)
        settings_report_add(r->report, yaml_reader_line(r),
                            "an anchor (&%.40s) is not supported here: leave it out",
                            (const char *)anchor);
    if (tag) {
        char quoted[SETTINGS_QUOTE_SIZE];
        settings_quote(quoted, (const char *)tag, strlen((const char *)tag));
        settings_report_add(r->report, yaml_reader_line(r),
                            "a tag (%s) is not supported here: leave it out", quoted);
    }
}

const char *yaml_reader_scalar(const struct yaml_reader *r, size_t *len)
{
    *len = r->event.data.scalar.length;
    return (const char *)r->event.data.scalar.value;
}

bool yaml_reader_is_nothing(const struct yaml_reader *r)
{
    return r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0 &&
           r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}
