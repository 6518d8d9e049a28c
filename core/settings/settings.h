// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/endpoint.h"
#include "core/wire/name.h"

// The settings in force, and the table of options they are made from (options.def). parse.h
// turns text into values, format.h values into text, and check.h checks several together. Files,
// memory and the command line are io's (io/edge).
//
// Lists are a pointer and a count that io grows and frees; core only reads them. A struct settings
// may be moved by assignment, but its lists have one owner.

#define SETTINGS_TEXT_SIZE 1024 // one value as text, with the final NUL
#define SETTINGS_WHY_SIZE  640  // a sentence that says what is wrong and what would be right

struct address_list {
    struct address *items;
    size_t count;
};

struct endpoint_list {
    struct endpoint *items;
    size_t count;
};

struct prefix_list {
    struct prefix *items;
    size_t count;
};

// Texts of any length, each ending in NUL and owned by the list.
struct text_item {
    char *text;
    uint32_t line; // of the file, 0: none
};

struct text_list {
    struct text_item *items;
    size_t count;
};

struct path {
    char text[256]; // ends in NUL; empty: none
};

// A text of printable octets that goes into replies. Empty: none.
struct short_text {
    uint8_t len;
    char text[64]; // ends in NUL too
};

// Where a value comes from. The line is that of its key in the file; of an option that a zone's
// entry leaves out, the line where the entry begins.
enum settings_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_COMMAND_LINE, SOURCE_RESOLV_CONF };

struct settings_origin {
    uint32_t line; // 0: none
    uint32_t source;
};

enum settings_kind {
    KIND_BOOLEAN,
    KIND_COUNT,
    KIND_COUNT_OR_AUTO, // auto is 0
    KIND_SIZE,          // octets
    KIND_DURATION,      // milliseconds
    KIND_WORD,          // index of the word in the row
    KIND_NAME,
    KIND_ADDRESS, // ADDRESS_NONE: off
    KIND_ADDRESS_LIST,
    KIND_UPSTREAM_LIST,
    KIND_PREFIX_LIST,
    KIND_PATH, // empty: off
    KIND_PATH_LIST,
    KIND_RECORD_LIST, // the records as text (core/wire/text.h)
    KIND_NAME_LIST,   // the names as text
    KIND_INTERFACE_LIST,
    KIND_PREFIX,
    KIND_TEXT, // empty: off
};

#define KIND_TYPE_BOOLEAN        bool
#define KIND_TYPE_COUNT          uint64_t
#define KIND_TYPE_COUNT_OR_AUTO  uint64_t
#define KIND_TYPE_SIZE           uint64_t
#define KIND_TYPE_DURATION       uint64_t
#define KIND_TYPE_WORD           uint32_t
#define KIND_TYPE_NAME           struct name
#define KIND_TYPE_ADDRESS        struct address
#define KIND_TYPE_ADDRESS_LIST   struct address_list
#define KIND_TYPE_UPSTREAM_LIST  struct endpoint_list
#define KIND_TYPE_PREFIX_LIST    struct prefix_list
#define KIND_TYPE_PATH           struct path
#define KIND_TYPE_PATH_LIST      struct text_list
#define KIND_TYPE_RECORD_LIST    struct text_list
#define KIND_TYPE_NAME_LIST      struct text_list
#define KIND_TYPE_INTERFACE_LIST struct text_list
#define KIND_TYPE_PREFIX         struct prefix
#define KIND_TYPE_TEXT           struct short_text

// Slots of the origins: OPTION_cache_size, ... and ZONE_to, ...
enum settings_slot {
#define OPTION(section, field, ...) OPTION_##section##_##field,
#include "core/settings/options.def"
    OPTION_COUNT
};

enum forward_slot {
#define ZONE_OPTION(section, field, ...) ZONE_##field,
#include "core/settings/options.def"
    ZONE_COUNT
};

#define SETTINGS_ROWS ((size_t)OPTION_COUNT + (size_t)ZONE_COUNT)

enum any_answer { ANY_HINFO, ANY_TCP, ANY_FORWARD };
enum forward_strategy { FORWARD_FASTEST, FORWARD_ORDERED, FORWARD_RANDOM };

struct forward_zone {
#define ZONE_OPTION(section, field, key, kind, ...) KIND_TYPE_##kind field;
#include "core/settings/options.def"
    struct settings_origin origins[ZONE_COUNT];
};

struct forward_zone_list {
    struct forward_zone *items;
    size_t count;
};

#define FORWARD_ZONES_MAX 4096

struct settings {
#define OPTION(section, field, key, kind, ...) KIND_TYPE_##kind section##_##field;
#include "core/settings/options.def"
    struct forward_zone_list forward;
    struct settings_origin origins[OPTION_COUNT];
    const char *file;    // that was read; NULL: none; owned by the caller
    bool follows_system; // the settings name no upstreams: those of the system are used, once there
                         // are any
};

// A row of options.def. The `base` of a row is the struct of its field: a struct forward_zone where
// `in_zone` is set, else the struct settings.
struct settings_option {
    const char *section;
    const char *key;
    const char *fallback;
    const char *detail;
    const char *help;
    uint64_t min;
    uint64_t max;
    uint32_t offset;
    uint8_t kind; // enum settings_kind
    uint8_t slot; // enum settings_slot, or forward_slot where in_zone
    bool in_zone;
    bool reloadable;
};

// In the order of options.def, so the rows of a section are together.
extern const struct settings_option settings_options[SETTINGS_ROWS];

// One value, or one item of a list.
union settings_value {
    bool boolean;
    uint64_t number; // count, size or duration
    uint32_t word;
    struct name name;
    struct address address;
    struct endpoint endpoint;
    struct prefix prefix;
    struct path path;
    struct short_text short_text;
    struct {
        const char *bytes; // borrowed from what was parsed; no NUL
        size_t len;
    } text; // a path, a record or a name of a list
};

// The row of that section and key; NULL: there is none.
[[nodiscard]] const struct settings_option *settings_find(const char *section, const char *key,
                                                          size_t key_len);

[[nodiscard]] bool settings_is_list(const struct settings_option *option);

// True if its items are texts (struct text_list).
[[nodiscard]] bool settings_is_texts(const struct settings_option *option);

// Stores the value of an option that is no list.
void settings_store(const struct settings_option *option, void *base,
                    const union settings_value *value);

// The field of its value.
[[nodiscard]] static inline const void *settings_field(const struct settings_option *option,
                                                       const void *base)
{
    return (const uint8_t *)base + option->offset;
}

// The number of values: of a list its items, else 1.
[[nodiscard]] size_t settings_count(const struct settings_option *option, const void *base);

[[nodiscard]] struct settings_origin *settings_origin(const struct settings_option *option,
                                                      void *base);
