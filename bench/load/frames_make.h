// SPDX-License-Identifier: MIT
#pragma once
#include "bench/load/frames.h"
#include "core/address.h"

#include <stddef.h>

// Frames of queries, as a file of questions has them: a name and a type a line, and " E" behind it
// where the query has an EDNS record (kxdpgun's form).

struct frames_form {
    struct address from, to; // one family; `from` has no port
    uint8_t from_mac[6], to_mac[6];
};

struct frames {
    struct frame *frame; // `count` of them
    size_t count;
    size_t len; // of each: shorter ones are padded behind their packet
};

// Reads the file and makes a frame of each line, from ports of its own. Returns NULL or what is
// wrong; frames.frame is to be freed.
const char *frames_make(struct frames *frames, const struct frames_form *form, const char *path);
