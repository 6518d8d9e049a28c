// SPDX-License-Identifier: MIT
#include "tests/fuzz/answer_input.h"

#include "tests/fuzz/target.h"
#include "tests/sim/strict.h"

enum { PARAMETERS = 7 };

// Writes the message with its records `repeats` + 1 times, as far as they fit; only where all of
// them stand in the answer section.
static uint8_t *message_make(struct input *input, unsigned repeats, size_t place, size_t *len)
{
    *len = MESSAGE_LEN_MAX;
    uint8_t *message = input_copy(input, len);
    struct strict m;
    if (repeats == 0 || !strict_open(&m, message, *len) || m.counts[2] || m.counts[3] ||
        strict_rest(&m))
        return message;
    size_t head = m.question_end, block = *len - head;
    while (repeats > 0 && head + block * (repeats + 1) > MESSAGE_LEN_MAX)
        repeats--;
    if (m.counts[1] * (repeats + 1) > UINT16_MAX)
        return message;
    uint8_t *longer = malloc(head + block * (repeats + 1));
    assert(longer);
    memcpy(longer, message, head);
    for (unsigned i = 0; i <= repeats; i++) {
        uint8_t *to = longer + head + i * block;
        memcpy(to, message + head, block);
        if (place > 0 && place + 1 < block)
            store_be16(to + place, (uint16_t)(load_be16(to + place) + i));
    }
    store_be16(longer + 6, (uint16_t)(m.counts[1] * (repeats + 1)));
    free(message);
    *len = head + block * (repeats + 1);
    return longer;
}

void answer_input_ask(struct answer_input *input, const uint8_t *parameters)
{
    const uint8_t *reply = input->reply;
    size_t len = input->reply_len;
    size_t name_len = len > 12 ? name_length(reply + 12, len - 12) : 0;
    uint8_t *out = input->asked;
    input->asked_len = 0;
    if (name_len == 0 || len < 12 + name_len + 4)
        return;
    memset(out, 0, 12);
    out[0] = reply[0];
    out[1] = reply[1];
    out[2] = parameters[0] & HEADER_RD;
    out[3] = parameters[0] & HEADER_CD;
    out[5] = 1;
    memcpy(out + 12, reply + 12, name_len + 4);
    size_t at = 12 + name_len + 4;
    if (parameters[0] & 2) {
        opt_write(out + at, load_be16(parameters + 1), RCODE_NOERROR, parameters[0] & 4);
        out[11] = 1;
        at += OPT_LEN;
    }
    if (query_read(&input->query, out, at) == QUERY_GOOD)
        input->asked_len = at;
}

bool answer_input_read(const uint8_t *data, size_t size, struct answer_input *input)
{
    if (size < PARAMETERS + MESSAGE_HEADER_LEN)
        return false;
    struct input message = {data + PARAMETERS, size - PARAMETERS};
    input->reply = message_make(&message, data[5] * 12u, data[6], &input->reply_len);
    input->limits = data[0] >> 6;
    input->age_s = load_be16(data + 3);
    answer_input_ask(input, data);
    return true;
}
