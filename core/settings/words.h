// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// Texts of the tables of settings, which end in NUL, and of values, which do not.

#define WORDS_TEXT_MAX 4096 // no text of the tables is longer

// The bound keeps compilers from turning this into a call of strlen, which core must not make.
static inline size_t text_len(const char *text)
{
    size_t len = 0;
    while (len < WORDS_TEXT_MAX && text[len] != '\0')
        len++;
    return len;
}

// In place of a snprintf without conversions, which compilers turn into a call of strcpy.
static inline size_t put_text(char *text, const char *word)
{
    size_t len = text_len(word);
    memcpy(text, word, len + 1);
    return len;
}

static inline bool text_is(const char *text, size_t len, const char *word)
{
    return text_len(word) == len && memcmp(text, word, len) == 0;
}
