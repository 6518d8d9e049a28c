// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A scenario's file as statements of words (README.md says what they mean), and the one way in
// which a scenario fails: a sentence with the file and the line, after which this process ends. So
// nothing here returns errors, and each scenario runs in a process of its own (run_scenario.c).

// The words of a statement, or of one of its items, and how far they have been read.
struct phrase {
    char **words;
    size_t count;
    size_t at;
};

// "head: item; item". Where a line ends with the colon, each indented one that follows is an item.
struct statement {
    unsigned line;
    struct phrase head;
    struct phrase *items;
    size_t item_count;
};

struct script {
    const char *path;
    char *text; // the file; what of it has been read is cut into words
    char *at;
    char *title;       // the comment it begins with
    unsigned line;     // that `at` stands on
    unsigned saying;   // the line of the statement that is being carried out
    uint64_t seed;     // of this run, for reports of failures
    uint64_t start_us; // and the times there are counted from
};

[[nodiscard]] struct script script_open(const char *path);

// Reads the next statement, which stays valid to the end; false: there is none.
[[nodiscard]] bool script_next(struct script *script, struct statement *statement);

__attribute__((format(printf, 2, 3), noreturn)) void script_fail(const struct script *script,
                                                                 const char *format, ...);

// The next word, NULL at the end; the second and third step over it.
[[nodiscard]] const char *phrase_peek(const struct phrase *phrase);
[[nodiscard]] const char *phrase_next(struct phrase *phrase);
[[nodiscard]] const char *phrase_need(const struct script *script, struct phrase *phrase,
                                      const char *what);

// Steps over that word, if it is the next one.
bool phrase_take(struct phrase *phrase, const char *word);

// Each word of `words` must follow.
void phrase_expect(const struct script *script, struct phrase *phrase, const char *words);

// Nothing may follow.
void phrase_end(const struct script *script, const struct phrase *phrase);

// All words of a phrase, joined by spaces.
[[nodiscard]] char *phrase_text(const struct phrase *phrase);

// The words that have not been taken, joined by spaces, which takes them.
[[nodiscard]] char *phrase_rest(struct phrase *phrase);

[[nodiscard]] uint64_t script_number(const struct script *script, const char *word);
[[nodiscard]] uint64_t script_duration_us(const struct script *script, const char *word);

// "3" or "3..5".
struct range {
    uint64_t min;
    uint64_t max;
};
[[nodiscard]] struct range script_range(const struct script *script, const char *word);

// "150ms", "150..160ms" or "150ms..1s"; a bare end takes the unit of the other.
[[nodiscard]] struct range script_time(const struct script *script, const char *word);

// The octets of "0102 0304"; reads words as long as they are hexadecimal. Returns how many.
size_t script_octets(const struct script *script, struct phrase *phrase, uint8_t *octets,
                     size_t size);

// How many words "name{1..40}" stands for (1 without braces), and the word number `index` of them.
[[nodiscard]] size_t script_spread(const struct script *script, const char *word);
[[nodiscard]] char *script_spread_word(const struct script *script, const char *word, size_t index);

// Memory that is aligned for what serve wants; zeroed, or as it comes, or zeroed and large and
// never freed.
[[nodiscard]] void *script_memory(const struct script *script, size_t size);
[[nodiscard]] void *script_region(const struct script *script, size_t size);
[[nodiscard]] void *script_room(const struct script *script, size_t size);
