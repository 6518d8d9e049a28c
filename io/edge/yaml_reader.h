// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/settings_report.h"

#include <stdbool.h>
#include <yaml.h>

// Reads YAML event by event, and reports faults of its form; the meaning is the caller's. After the
// parser has failed (`broken`) there are no more events.

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; // the current one
    struct settings_report *report;
    const char *text;
    size_t len;
    int error; // negative errno, kept for the caller
    bool broken;
};

// The text and the report must live as long. False: there is no memory, and nothing to close.
[[nodiscard]] bool yaml_reader_open(struct yaml_reader *reader, const char *text, size_t len,
                                    struct settings_report *report);
void yaml_reader_close(struct yaml_reader *reader);

// Fetches the next event; false: there is none.
[[nodiscard]] bool yaml_reader_next(struct yaml_reader *reader);

// Skips to the end of the current node.
void yaml_reader_skip(struct yaml_reader *reader);

// Reports that there is no memory, which ends the reading.
void yaml_reader_no_memory(struct yaml_reader *reader);

// The line of the current event.
[[nodiscard]] uint32_t yaml_reader_line(const struct yaml_reader *reader);

// What the current node is called in a message.
[[nodiscard]] const char *yaml_reader_noun(const struct yaml_reader *reader);

// Refuses aliases, anchors and tags, by which a file would mean something else than it shows.
void yaml_reader_refuse_extras(struct yaml_reader *reader);

// The text of the current scalar.
[[nodiscard]] const char *yaml_reader_scalar(const struct yaml_reader *reader, size_t *len);

// True if it is `key:` without a value.
[[nodiscard]] bool yaml_reader_is_nothing(const struct yaml_reader *reader);
