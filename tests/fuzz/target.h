// SPDX-License-Identifier: MIT
#pragma once
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What every fuzz target has: this one function, run over an input by libFuzzer or by replay.c.
// What must hold is asserted; what must not be touched is left to the sanitizers, for which inputs
// are copied into memory of their exact size.

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The input, read from its front; behind its end there are zeros for ever.
struct input {
    const uint8_t *bytes;
    size_t len;
};

static inline uint8_t input_u8(struct input *input)
{
    if (input->len == 0)
        return 0;
    input->len--;
    return *input->bytes++;
}

static inline uint16_t input_u16(struct input *input)
{
    uint8_t high = input_u8(input);
    return (uint16_t)(high << 8 | input_u8(input));
}

// A copy of up to `len` octets; the caller frees it.
static inline uint8_t *input_copy(struct input *input, size_t *len)
{
    *len = *len < input->len ? *len : input->len;
    uint8_t *copy = calloc(*len, 1);
    assert(copy || *len == 0);
    if (*len)
        memcpy(copy, input->bytes, *len);
    input->bytes += *len;
    input->len -= *len;
    return copy;
}
