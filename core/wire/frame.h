// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/bytes.h"

// Messages on a TCP connection: each behind its length in two octets (RFC 1035 4.2.2). Pieces may
// be cut anywhere (RFC 7766 8), so the receiver gathers them and looks again.

#define FRAME_HEAD_LEN 2
#define FRAME_LEN_MAX  (FRAME_HEAD_LEN + 65535) // room for any one message and its length

// Finds the first whole message among `len` octets. Returns how many octets it takes with its
// length, or 0 where it is not whole yet.
static inline size_t frame_next(const uint8_t *bytes, size_t len, const uint8_t **message,
                                size_t *message_len)
{
    if (len < FRAME_HEAD_LEN || len - FRAME_HEAD_LEN < load_be16(bytes))
        return 0;
    *message = bytes + FRAME_HEAD_LEN;
    *message_len = load_be16(bytes);
    return FRAME_HEAD_LEN + *message_len;
}
