// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"

// What the octets of an input of fuzz_answer.c are: seven octets of parameters and a message. The
// last but one of these repeats the message's records, so that inputs of a few octets become
// messages of up to 64 KiB; the last one names a place in them that counts up, so that names
// differ.

struct answer_input {
    uint8_t *reply; // an upstream's, of its exact size; the caller frees it
    size_t reply_len;
    uint8_t asked[MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4 + OPT_LEN]; // the query
    size_t asked_len;                                               // 0: the reply has no question
    struct query query;
    uint8_t limits; // of four
    uint16_t age_s;
};

// False: it is too short to be one.
[[nodiscard]] bool answer_input_read(const uint8_t *data, size_t size, struct answer_input *input);

// Makes the query that this may be the reply to, out of the reply's own question; asked_len stays 0
// where there is none. `parameters` are three octets: RD, CD, with EDNS, DO, and the size.
void answer_input_ask(struct answer_input *input, const uint8_t *parameters);
