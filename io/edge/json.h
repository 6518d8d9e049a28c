// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// Writes JSON (RFC 8259): tracks open objects and lists, puts the commas, and escapes texts. In an
// object every value has a key; elsewhere the key is NULL.
//
// A writer without a file accepts the same calls, so a report can be written in two forms by one
// walk.

#define JSON_DEPTH_MAX 4

// The text before the first element of an object or a list, between two, and after the last.
struct json_layout {
    const char *first, *next, *last;
};

extern const struct json_layout json_line;  // all on one line
extern const struct json_layout json_lines; // each on a line of its own

struct json {
    FILE *to; // NULL: nothing is written
    unsigned depth;
    struct {
        const struct json_layout *layout;
        char close;
        bool begun;
    } open[JSON_DEPTH_MAX];
};

// `to` may be NULL. The layouts must live as long as what has them is open.
void json_init(struct json *json, FILE *to);

void json_object(struct json *json, const char *key, const struct json_layout *layout);
void json_list(struct json *json, const char *key, const struct json_layout *layout);

// Closes what was opened last. The outermost is followed by the end of the line.
void json_close(struct json *json);

void json_string(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_real(struct json *json, const char *key, double value, int decimals);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

// Escapes an octet of a text; returns the length.
#define JSON_ESCAPE_SIZE 8
size_t json_escape(char c, char escape[static JSON_ESCAPE_SIZE]);
