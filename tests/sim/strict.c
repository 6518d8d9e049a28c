// SPDX-License-Identifier: MIT
#include "tests/sim/strict.h"

#include <string.h>

static unsigned u16_at(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) << 16 | u16_at(p + 2);
}

void strict_lower(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + ('a' - 'A') : from[i]);
}

bool strict_equal(const struct strict_name *a, const struct strict_name *b)
{
    uint8_t x[STRICT_NAME_MAX], y[STRICT_NAME_MAX];
    strict_lower(x, a->bytes, a->len);
    strict_lower(y, b->bytes, b->len);
    return a->len == b->len && memcmp(x, y, a->len) == 0;
}

// Reads a name at *at and moves it behind the name as it stands there.
static const char *name_take(const uint8_t *bytes, size_t len, size_t *at, struct strict_name *name)
{
    size_t here = *at;
    size_t piece = *at; // where the labels being read begin
    name->len = 0;
    name->pointed = false;
    for (;;) {
        if (here >= len)
            return "a name is cut";
        unsigned c = bytes[here];
        if (c >= 0xc0) {
            if (len - here < 2)
                return "a pointer is cut";
            size_t to = u16_at(bytes + here) & 0x3fff;
            if (to >= piece || to < 12)
                return "a pointer does not lead back";
            if (!name->pointed)
                *at = here + 2;
            name->pointed = true;
            here = piece = to;
            continue;
        }
        if (c > 63)
            return "a label of a reserved type";
        if (len - here < 1 + c)
            return "a label is cut";
        if (name->len + 1 + c > STRICT_NAME_MAX)
            return "a name of more than 255 octets";
        memcpy(name->bytes + name->len, bytes + here, 1 + c);
        name->len = (uint8_t)(name->len + 1 + c);
        here += 1 + c;
        if (c == 0) {
            if (!name->pointed)
                *at = here;
            return NULL;
        }
    }
}

bool strict_open(struct strict *m, const uint8_t *bytes, size_t len)
{
    m->bytes = bytes;
    m->len = len;
    m->at = 12;
    m->question.len = 0;
    m->why = NULL;
    if (len < 12) {
        m->why = "a header is cut";
        return false;
    }
    m->id = (uint16_t)u16_at(bytes);
    m->flags[0] = bytes[2];
    m->flags[1] = bytes[3];
    for (unsigned i = 0; i < 4; i++)
        m->counts[i] = (uint16_t)u16_at(bytes + 4 + 2 * i);
    memcpy(m->left, m->counts + 1, sizeof m->left);
    if (m->counts[0] > 1)
        m->why = "more than one question";
    if (m->counts[0] == 1 && !m->why)
        m->why = name_take(bytes, len, &m->at, &m->question);
    if (m->counts[0] == 1 && !m->why) {
        if (m->question.pointed)
            m->why = "a question with a pointer";
        else if (len - m->at < 4)
            m->why = "a question is cut";
    }
    if (m->why)
        return false;
    if (m->counts[0] == 1) {
        m->type = (uint16_t)u16_at(bytes + m->at);
        m->class = (uint16_t)u16_at(bytes + m->at + 2);
        m->at += 4;
    }
    m->question_end = m->at;
    return true;
}

bool strict_next(struct strict *m, struct strict_record *record)
{
    uint8_t section = 0;
    while (section < 3 && m->left[section] == 0)
        section++;
    if (m->why || section == 3)
        return false;
    m->left[section]--;
    record->section = section;
    m->why = name_take(m->bytes, m->len, &m->at, &record->owner);
    if (m->why)
        return false;
    if (m->len - m->at < 10) {
        m->why = "a record is cut";
        return false;
    }
    const uint8_t *p = m->bytes + m->at;
    record->type = (uint16_t)u16_at(p);
    record->class = (uint16_t)u16_at(p + 2);
    record->ttl = u32_at(p + 4);
    record->ttl_at = m->at + 4;
    record->data_len = (uint16_t)u16_at(p + 8);
    record->data_at = m->at + 10;
    if (m->len - record->data_at < record->data_len) {
        m->why = "a record's data is cut";
        return false;
    }
    m->at = record->data_at + record->data_len;
    return true;
}

const char *strict_rest(struct strict *m)
{
    struct strict_record record;
    while (strict_next(m, &record))
        continue;
    if (!m->why && m->at != m->len)
        m->why = "octets are left over behind the records";
    return m->why;
}

// How a type's data is made up: o octets, s a character string, n a name, c a name that may be
// compressed; then whatever follows.
static const char *form_of(uint16_t type)
{
    switch (type) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 9:
    case 12:
        return "c";
    case 6:
    case 14:
        return "cc";
    case 15:
        return "ooc";
    case 17:
        return "nn";
    case 18:
    case 21:
    case 36:
        return "oon";
    case 24:
        return "oooooooooooooooooon";
    case 26:
        return "oonn";
    case 30:
    case 39:
        return "n";
    case 33:
        return "oooooon";
    case 35:
        return "oooosssn";
    default:
        return "";
    }
}

int strict_data(const struct strict *m, const struct strict_record *record, uint8_t *out,
                size_t size, bool *pointed, bool *known)
{
    size_t at = record->data_at, end = at + record->data_len, used = 0;
    const char *form = form_of(record->type);
    *pointed = false;
    *known = strchr(form, 'c');
    for (; *form; form++) {
        if (*form == 'c' || *form == 'n') {
            struct strict_name name;
            if (name_take(m->bytes, end, &at, &name) || size - used < name.len)
                return -1;
            *pointed |= name.pointed;
            strict_lower(out + used, name.bytes, name.len);
            used += name.len;
            continue;
        }
        if (at >= end)
            return -1;
        size_t take = *form == 's' ? 1u + m->bytes[at] : 1u;
        if (end - at < take || size - used < take)
            return -1;
        memcpy(out + used, m->bytes + at, take);
        used += take;
        at += take;
    }
    if (size - used < end - at)
        return -1;
    memcpy(out + used, m->bytes + at, end - at);
    return (int)(used + end - at);
}
