// SPDX-License-Identifier: MIT
#include "core/wire/seen.h"

#include "core/wire/lower.h"
#include "core/wire/message.h"

enum { POINTER_MARK = 0xc0, POINTER_REACH = 0x3fff };

void seen_begin(struct seen_names *seen, struct suffix_seed seed, size_t len)
{
    seen->seed = seed;
    seen->labels = 0;
    memset(seen->lens, 0, len < SEEN_REACH ? len : SEEN_REACH);
}

// Hashes the labels from the last to the first, and remembers what begins at each.
static void hash_back(struct seen_names *seen, const uint8_t *message, struct seen_name *name)
{
    uint8_t label[1 + LABEL_MAX_LEN] = {0};
    uint16_t lead = name->tail_at ? seen->leads[name->tail_at] : 0;
    name->hash = name->tail_hash;
    name->len = name->tail_len;
    for (unsigned i = name->count; i-- > 0;) {
        uint16_t at = name->places[i];
        size_t len = 1u + message[at];
        lower_octets(label, message + at, len);
        name->hash = suffix_step(seen->seed, name->hash, label, false);
        name->len = (uint8_t)(name->len + len);
        name->hashes[i] = name->hash;
        if (message[at + len] >= POINTER_MARK)
            lead = load_be16(message + at + len) & POINTER_REACH;
        if (at >= SEEN_REACH)
            continue;
        seen->lens[at] = name->len;
        seen->hashes[at] = name->hash;
        seen->leads[at] = lead;
    }
    seen->labels += name->count;
}

// Takes the label or the root at the reader's place. False: it is none, or the name too long.
static bool label_read(struct reader *at, struct seen_name *name, size_t *len)
{
    size_t place = at->at;
    uint8_t label = read_u8(at);
    *len += 1u + label;
    if (at->failed || label > LABEL_MAX_LEN || !read_bytes(at, label) || *len > NAME_MAX_LEN)
        return false;
    if (label > 0)
        name->places[name->count++] = (uint16_t)place;
    return true;
}

// Reads the labels up to the root or to what is known; `end` is where the name as it stands ends.
static bool labels_read(const struct seen_names *seen, struct reader *at, struct seen_name *name,
                        size_t *end)
{
    size_t lowest = at->at; // every pointer must lead below this
    size_t len = 0;
    name->tail_hash = seen->seed.start;
    name->tail_len = 1;
    name->tail_at = 0;
    name->count = 0;
    for (bool jumped = false;;) {
        if (at->at >= at->len)
            return false;
        uint8_t first = at->bytes[at->at];
        if (jumped && at->at < SEEN_REACH && seen->lens[at->at] != 0) {
            name->tail_hash = seen->hashes[at->at];
            name->tail_len = seen->lens[at->at];
            name->tail_at = (uint16_t)at->at;
            return seen->leads[at->at] < lowest && len + name->tail_len <= NAME_MAX_LEN;
        }
        if (first < POINTER_MARK) {
            if (!label_read(at, name, &len))
                return false;
            *end = jumped ? *end : at->at;
            if (first == 0)
                return true;
            continue;
        }
        size_t target = read_u16(at) & POINTER_REACH;
        bool back = target >= MESSAGE_HEADER_LEN && target < lowest;
        if (at->failed || !back || at->hops_left == 0)
            return false;
        *end = jumped ? *end : at->at;
        at->hops_left--;
        jumped = true;
        at->at = lowest = target;
    }
}

bool seen_read(struct seen_names *seen, struct reader *r, struct seen_name *name)
{
    struct reader at = *r;
    bool good = labels_read(seen, &at, name, &r->at);
    r->hops_left = at.hops_left;
    r->failed |= !good;
    if (good)
        hash_back(seen, r->bytes, name);
    return good;
}

bool seen_go_on(const struct seen_names *seen, struct reader *r, struct seen_name *name)
{
    size_t at = name->tail_at;
    if (at == 0)
        return false;
    name->places[name->count] = (uint16_t)at;
    name->hashes[name->count++] = name->tail_hash;
    at += 1u + r->bytes[at];
    for (; r->bytes[at] >= POINTER_MARK; at = load_be16(r->bytes + at) & POINTER_REACH) {
        r->failed |= r->hops_left == 0;
        if (r->failed)
            return false;
        r->hops_left--;
    }
    bool root = r->bytes[at] == 0;
    name->tail_at = root ? 0 : (uint16_t)at;
    name->tail_hash = root ? seen->seed.start : seen->hashes[at];
    return true;
}
