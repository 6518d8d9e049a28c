// SPDX-License-Identifier: MIT
#include "core/wire/text.h"
#include "tests/fuzz/target.h"

#include <stdio.h>

// A record from text. What is read must be whole, and written out as RFC 3597 has it, it must be
// read as the same record again.

static void generic_round(const struct text_record *record)
{
    static char text[NAME_TEXT_SIZE + 64 + 2 * TEXT_DATA_MAX];
    struct text_record again;
    char why[TEXT_WHY_SIZE];
    size_t len = name_format(&record->owner, text);
    if (text[0] == '*' && text[1] == '.') // was spelled \042.
        return;
    len += (size_t)snprintf(text + len, sizeof text - len, " %u IN TYPE%u \\# %u ", record->ttl,
                            record->type, record->data_len);
    for (size_t i = 0; i < record->data_len; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%02x", record->data[i]);
    assert(text_record_read(&again, text, len, why));
    assert(name_equal(&again.owner, &record->owner) && again.ttl == record->ttl);
    assert(again.type == record->type && again.data_len == record->data_len);
    assert(memcmp(again.data, record->data, record->data_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct text_record record;
    char why[TEXT_WHY_SIZE];
    char type[TEXT_TYPE_SIZE];
    memset(why, 'x', sizeof why);
    uint8_t *text = input_copy(&input, &size);
    if (text_record_read(&record, (const char *)text, size, why)) {
        assert(name_length(record.owner.bytes, record.owner.len) == record.owner.len);
        assert(record.ttl <= TEXT_TTL_MAX && record.data_len <= TEXT_DATA_MAX);
        size_t len = text_type_write(record.type, type);
        assert(len < sizeof type && text_type_read(type, len) == record.type);
        generic_round(&record);
    } else {
        assert(memchr(why, '\0', sizeof why) && why[0] != '\0');
        for (const char *c = why; *c; c++)
            assert(*c >= ' ' && *c <= '~');
    }
    free(text);
    return 0;
}
