// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/settings_report.h"

#include <stdbool.h>
#include <yaml.h>

// A text in YAML, read event by event: what is wrong with its form is told here, and nothing is
// known of what it means. When the parser itself gives up (`broken`) there is no next event.

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

// Goes to the end of the current node.
void yaml_reader_skip(struct yaml_reader *reader);

// Tells that there is no memory, which ends the reading.
void yaml_reader_no_memory(struct yaml_reader *reader);

// The line of the current event.
[[nodiscard]] uint32_t yaml_reader_line(const struct yaml_reader *reader);

// What the current node is called in a message.
[[nodiscard]] const char *yaml_reader_noun(const struct yaml_reader *reader);

// Refuses what would make a file mean something else than what stands there.
void yaml_reader_refuse_extras(struct yaml_reader *reader);

// The text of the current scalar.
[[nodiscard]] const char *yaml_reader_scalar(const struct yaml_reader *reader, size_t *len);

// Is it `key:` with nothing behind it?
[[nodiscard]] bool yaml_reader_is_nothing(const struct yaml_reader *reader);
