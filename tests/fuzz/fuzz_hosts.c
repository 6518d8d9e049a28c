// SPDX-License-Identifier: MIT
#include "core/policy/hosts.h"
#include "core/policy/local.h"
#include "tests/fuzz/target.h"

// A hosts file: its lines are read and made into a block, and then every name that was taken is
// asked for and must be answered with an address.

enum {
    NAMES_MAX = 256,
    DRAFT_SIZE = 2 * NAMES_MAX * 700,
};

struct taken {
    struct name name;
    uint16_t type;
};

struct file {
    struct local_draft draft;
    struct taken names[NAMES_MAX];
    size_t count;
};

// Kept from run to run, as clearing them costs more than what is done with them.
static struct file file;
static _Alignas(64) uint8_t draft_bytes[DRAFT_SIZE];

static void *zeros(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert(memory);
    memset(memory, 0, (size + 63) / 64 * 64);
    return memory;
}

static void line_take(const uint8_t *bytes, size_t len)
{
    struct hosts_reading reading;
    struct input input = {bytes, len};
    uint8_t *line = input_copy(&input, &len);
    enum hosts_line verdict = hosts_line_read(&reading, (const char *)line, len);
    bool first = true;
    while (verdict == HOSTS_LINE_TAKEN && file.count < NAMES_MAX) {
        struct taken *taken = &file.names[file.count];
        verdict = hosts_name_next(&reading, &taken->name);
        if (verdict != HOSTS_LINE_TAKEN)
            break;
        assert(name_length(taken->name.bytes, taken->name.len) == taken->name.len);
        taken->type = reading.address.family == ADDRESS_IPV4 ? TYPE_A : TYPE_AAAA;
        bool added = local_add_host(&file.draft, &taken->name, &reading.address, 60, first);
        assert(added);
        file.count++;
        first = false;
    }
    assert(verdict != HOSTS_LINE_BAD || reading.why);
    free(line);
}

static void ask(const struct local *local, const struct taken *taken)
{
    static const struct answer_limits limits = {.udp_payload_max = 1232};
    uint8_t message[MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4] = {0};
    uint8_t out[1232];
    struct key key;
    enum local_source source;
    struct query query = {.message = message,
                          .type = taken->type,
                          .class = CLASS_IN,
                          .name_len = taken->name.len,
                          .udp_size = MESSAGE_UDP_MIN};
    memcpy(message + MESSAGE_HEADER_LEN, taken->name.bytes, taken->name.len);
    store_be16(message + MESSAGE_HEADER_LEN + taken->name.len, taken->type);
    store_be16(message + MESSAGE_HEADER_LEN + taken->name.len + 2, CLASS_IN);
    key_make(&key, &query, 7);
    size_t len = local_answer(local, &query, &key, 5, &limits, out, &source);
    assert(len >= MESSAGE_HEADER_LEN && len <= MESSAGE_UDP_MIN && source == LOCAL_OWN);
    assert((out[3] & HEADER_RCODE) == RCODE_NOERROR);
    assert(load_be16(out + 6) > 0 || out[2] & HEADER_TC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    local_draft(&file.draft, 42);
    file.draft.bytes = draft_bytes;
    file.draft.size = sizeof draft_bytes;
    file.count = 0;
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end ? (size_t)(end - data) - at : size - at;
        line_take(data + at, len);
        at += len + 1;
    }
    struct local_making making = {.draft = &file.draft};
    void *memory = zeros(local_size(&making));
    const struct local *local = local_build(&making, memory);
    assert(local);
    for (size_t i = 0; i < file.count; i++)
        ask(local, &file.names[i]);
    free(memory);
    memset(draft_bytes, 0, file.draft.used);
    return 0;
}
