// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// Packets written as text, for the tests of what reads and writes them. Pairs of hexadecimal digits
// are octets; 'www' is a length octet and those characters, which is how a label and a character
// string stand on the wire; spaces only divide.
//
//   "1234 0100 0001 0000 0000 0000  'www' 'example' 00 0001 0001"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

struct packet {
    size_t len;
    uint8_t bytes[2048];
};

static inline unsigned packet_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    fail_msg("'%c' is no part of a packet's text", c);
    return 0;
}

static inline struct packet packet_of(const char *text)
{
    struct packet packet = {0};
    while (*text) {
        assert_in_range(packet.len, 0, sizeof packet.bytes - 256);
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            const char *end = strchr(text + 1, '\'');
            assert_non_null(end);
            size_t len = (size_t)(end - text) - 1;
            packet.bytes[packet.len++] = (uint8_t)len;
            memcpy(packet.bytes + packet.len, text + 1, len);
            packet.len += len;
            text = end + 1;
        } else {
            unsigned high = packet_digit(text[0]);
            packet.bytes[packet.len++] = (uint8_t)(high << 4 | packet_digit(text[1]));
            text += 2;
        }
    }
    return packet;
}

// A copy in memory of its exact size, so that a sanitizer sees a read past its end.
static inline uint8_t *exact_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static inline void print_octets(const char *what, const uint8_t *bytes, size_t len)
{
    print_message("# %s:", what);
    for (size_t i = 0; i < len; i++)
        print_message("%s%02x", i % 2 ? "" : " ", bytes[i]);
    print_message("\n");
}

static inline void assert_packet(const uint8_t *bytes, size_t len, const char *text)
{
    struct packet wanted = packet_of(text);
    if (len == wanted.len && memcmp(bytes, wanted.bytes, len) == 0)
        return;
    print_octets("is    ", bytes, len);
    print_octets("wanted", wanted.bytes, wanted.len);
    fail_msg("%zu octets differ from the %zu wanted", len, wanted.len);
}

// A small generator for tests (splitmix64): the same seed gives the same run everywhere.
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// Runs each row of a table as a test of its own: `rows` begin with `const char *name`.
static inline size_t tests_of_rows(struct CMUnitTest *tests, CMUnitTestFunction run,
                                   const void *rows, size_t row_size, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *row = (const char *)rows + i * row_size;
        const char *name;
        memcpy(&name, row, sizeof name);
        union {
            const void *given;
            void *state; // cmocka's states are not const; the tests leave them alone
        } state = {row};
        tests[i] =
            (struct CMUnitTest){.name = name, .test_func = run, .initial_state = state.state};
    }
    return count;
}
