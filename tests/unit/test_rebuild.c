// SPDX-License-Identifier: MIT
#include "core/wire/rebuild.h"

#include "core/answer.h"
#include "tests/unit/packet.h"

// Random messages rebuilt: whatever the names and however they are compressed, the new message must
// say the same as the old one to a reader of its own, and be no longer than without compression.

#define RECORDS_MAX 3000

// What a record says, however it is written.
struct said {
    uint16_t type;
    uint8_t name_count; // in its data
    uint8_t data_len;   // of what is no name
    uint8_t data[16];
    struct name owner;
    struct name names[2];
};

struct message {
    size_t len;
    unsigned count;
    uint8_t bytes[MESSAGE_LEN_MAX];
};

// A name of a few labels from a small alphabet, so that names end alike.
static struct name random_name(uint64_t *seed)
{
    static const char *const labels[] = {"a", "bb", "example", "EXAMPLE", "com", "Com", "x"};
    struct name name = {0};
    unsigned count = (unsigned)(test_random(seed) % 5);
    for (unsigned i = 0; i < count; i++) {
        char own[16];
        const char *label = labels[test_random(seed) % COUNT_OF(labels)];
        if (test_random(seed) % 4 == 0) {
            snprintf(own, sizeof own, "n%u", (unsigned)(test_random(seed) % 2000));
            label = own;
        }
        size_t len = strlen(label);
        name.bytes[name.len++] = (uint8_t)len;
        memcpy(name.bytes + name.len, label, len);
        name.len = (uint8_t)(name.len + len);
    }
    name.bytes[name.len++] = 0;
    return name;
}

// type, octets before the names, names
static const struct {
    uint16_t type;
    uint8_t octets, names;
} types[] = {{1, 4, 0},  {2, 0, 1},  {5, 0, 1},  {15, 2, 1}, {16, 9, 0},  {12, 0, 1}, {14, 0, 2},
             {33, 6, 1}, {39, 0, 1}, {17, 0, 2}, {26, 2, 2}, {257, 7, 0}, {65, 12, 0}};

static struct said random_record(uint64_t *seed)
{
    size_t which = test_random(seed) % COUNT_OF(types);
    struct said said = {.type = types[which].type,
                        .owner = random_name(seed),
                        .name_count = types[which].names,
                        .data_len = types[which].octets};
    for (unsigned i = 0; i < said.data_len; i++)
        said.data[i] = (uint8_t)test_random(seed);
    for (unsigned i = 0; i < said.name_count; i++)
        said.names[i] = random_name(seed);
    return said;
}

// Writes a name plainly or, where `targets` has one that fits, with a pointer at its end.
struct targets {
    uint16_t at[200];
    unsigned count;
};

static void name_put(struct writer *w, const struct name *name, struct targets *targets,
                     uint64_t *seed)
{
    for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
        for (unsigned i = 0; i < targets->count && test_random(seed) % 16; i++) {
            struct reader r = reader_over(w->bytes, w->at);
            struct name there;
            r.at = targets->at[i];
            if (name_read(&r, &there) && there.len == name->len - at &&
                memcmp(there.bytes, name->bytes + at, there.len) == 0) {
                write_u16(w, (uint16_t)(0xc000 | targets->at[i]));
                return;
            }
        }
        if (w->at < 0x3fff && targets->count < COUNT_OF(targets->at) && test_random(seed) % 4 == 0)
            targets->at[targets->count++] = (uint16_t)w->at;
        write_bytes(w, name->bytes + at, 1u + name->bytes[at]);
    }
    write_u8(w, 0);
}

static void record_put(struct writer *w, const struct said *said, struct targets *targets,
                       uint64_t *seed)
{
    name_put(w, &said->owner, targets, seed);
    write_u16(w, said->type);
    write_u16(w, CLASS_IN);
    write_u32(w, 300);
    size_t len_at = w->at;
    write_u16(w, 0);
    write_bytes(w, said->data, said->data_len);
    for (unsigned i = 0; i < said->name_count; i++)
        name_put(w, &said->names[i], targets, seed);
    if (!w->failed)
        store_be16(w->bytes + len_at, (uint16_t)(w->at - len_at - 2));
}

static bool same_name(const struct name *a, const struct name *b)
{
    return a->len == b->len && name_equal(a, b);
}

// Reads a record again and compares it with what it has to say.
static void record_check(struct reader *r, const struct said *said)
{
    struct record record;
    assert_true(record_read(r, &record));
    assert_true(same_name(&record.owner, &said->owner));
    assert_int_equal(record.type, said->type);
    assert_int_equal(record.class, CLASS_IN);
    assert_int_equal(record.ttl, 300);
    struct reader data = reader_over(r->bytes, record.data_at + record.data_len);
    data.at = record.data_at;
    const uint8_t *octets = read_bytes(&data, said->data_len);
    assert_non_null(octets);
    assert_memory_equal(octets, said->data, said->data_len);
    for (unsigned i = 0; i < said->name_count; i++) {
        struct name name;
        size_t start = data.at;
        assert_true(name_read(&data, &name));
        assert_true(same_name(&name, &said->names[i]));
        // Types that came after RFC 1035 are never compressed (RFC 3597 4).
        if (said->type > 16)
            assert_int_equal(data.at - start, name.len);
    }
    assert_int_equal(data.at, data.len);
}

// Rebuilds all records of `from`; the room is given exactly.
static bool rebuild_all(struct message *to, size_t size, const struct message *from)
{
    uint8_t *out = malloc(size);
    assert_non_null(out);
    struct rebuild *b = malloc(sizeof *b);
    assert_non_null(b);
    rebuild_begin(b, out, size, 1);
    struct reader r = reader_over(from->bytes, from->len);
    bool good = true;
    r.at = MESSAGE_HEADER_LEN;
    for (unsigned i = 0; i < from->count && good; i++) {
        struct record record;
        assert_true(record_read(&r, &record));
        size_t place = rebuild_record(b, &record, &r);
        good = place != 0;
        if (good)
            assert_int_equal(load_be32(out + place), 300);
    }
    if (good) {
        to->len = b->out.at;
        to->count = from->count;
        memcpy(to->bytes, out, to->len);
    }
    free(b);
    free(out);
    return good;
}

// Copied name by name it is the same message, and no label was hashed twice.
static void copy_check(const struct message *from, const struct message *to)
{
    uint8_t *out = malloc(to->len);
    struct rebuild *b = malloc(sizeof *b);
    struct seen_names *seen = malloc(sizeof *seen);
    assert_true(out && b && seen);
    rebuild_begin(b, out, to->len, 1);
    seen_begin(seen, b->seed, from->len);
    struct reader r = reader_over(from->bytes, from->len);
    r.at = MESSAGE_HEADER_LEN;
    for (unsigned i = 0; i < from->count; i++)
        assert_int_not_equal(rebuild_copy(b, &r, seen, 300), 0);
    assert_int_equal(r.at, from->len);
    assert_int_equal(b->out.at, to->len);
    assert_memory_equal(out + MESSAGE_HEADER_LEN, to->bytes + MESSAGE_HEADER_LEN,
                        to->len - MESSAGE_HEADER_LEN);
    assert_in_range(seen->labels, 0, from->len);
    free(seen);
    free(b);
    free(out);
}

static void test_random_messages_say_the_same_when_rebuilt(void **state)
{
    (void)state;
    struct message *from = calloc(1, sizeof *from), *to = calloc(1, sizeof *to);
    struct said *said = calloc(RECORDS_MAX, sizeof *said);
    assert_true(from && to && said);
    size_t longest = 0;
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t seed = round;
        struct targets targets = {.count = 0};
        struct writer w = writer_over(from->bytes, sizeof from->bytes);
        write_room(&w, MESSAGE_HEADER_LEN);
        size_t plain = MESSAGE_HEADER_LEN;
        // A few of them fill the table of names and reach beyond what pointers can.
        from->count = 1 + (unsigned)(test_random(&seed) % (round % 50 == 0 ? 1400 : 60));
        for (unsigned i = 0; i < from->count; i++) {
            said[i] = random_record(&seed);
            record_put(&w, &said[i], &targets, &seed);
            plain += said[i].owner.len + 10u + said[i].data_len;
            for (unsigned k = 0; k < said[i].name_count; k++)
                plain += said[i].names[k].len;
        }
        assert_false(w.failed);
        from->len = w.at;
        assert_true(rebuild_all(to, MESSAGE_LEN_MAX, from));
        assert_in_range(to->len, MESSAGE_HEADER_LEN, plain);
        copy_check(from, to);
        longest = to->len > longest ? to->len : longest;
        struct reader r = reader_over(to->bytes, to->len);
        r.at = MESSAGE_HEADER_LEN;
        for (unsigned i = 0; i < to->count; i++)
            record_check(&r, &said[i]);
        assert_int_equal(r.at, to->len);
        // Exactly as much room as it takes is enough; one octet less is not.
        assert_true(rebuild_all(from, to->len, to));
        assert_false(rebuild_all(from, to->len - 1, to));
    }
    assert_in_range(longest, 0x4000, MESSAGE_LEN_MAX);
    free(said);
    free(to);
    free(from);
}

static void key_root(struct key *key, struct packet *packet)
{
    struct query query;
    *packet = packet_of("1234 0100 0001 0000 0000 0000 00 0021 0001");
    assert_int_equal(query_read(&query, packet->bytes, packet->len), QUERY_GOOD);
    key_make(key, &query, 1);
    packet->bytes[2] |= HEADER_QR;
}

#define L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "

// Each SRV is 20 octets with a pointer and 273 without: so many fit into 64 KiB and not one more.
static void test_growth_beyond_64_kib_is_reported(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct answer_limits limits = {
        .ttl_max_s = 86400, .ttl_negative_max_s = 3600, .udp_payload_max = 1232};
    struct packet head, first, more = packet_of("00 0021 0001 0000012c 0008 0001 0002 0035 c022");
    struct key key;
    uint8_t *reply = malloc(MESSAGE_LEN_MAX);
    assert_true(answer.value && reply);
    key_root(&key, &head);
    // The first one's target stands at octet 17 + 11 + 6 = 34 (22).
    first = packet_of("00 0021 0001 0000012c 0105 0001 0002 0035 " L63 L63 L63 L61 "00");
    unsigned fit = (MESSAGE_LEN_MAX - 17) / (11 + 6 + 255), taken = 0;
    for (unsigned count = fit - 2; count <= fit + 2; count++) {
        struct writer w = writer_over(reply, MESSAGE_LEN_MAX);
        write_bytes(&w, head.bytes, head.len);
        write_bytes(&w, first.bytes, first.len);
        for (unsigned i = 1; i < count; i++)
            write_bytes(&w, more.bytes, more.len);
        store_be16(reply + 6, (uint16_t)count);
        enum reply_verdict verdict = answer_parse(&answer, reply, w.at, &key, &limits);
        assert_int_equal(verdict, REPLY_GOOD);
        assert_int_equal(answer.too_long, count > fit);
        assert_int_equal(answer.rcode, count > fit ? RCODE_SERVFAIL : RCODE_NOERROR);
        assert_int_equal(load_be16(answer.value + 6), count > fit ? 0 : count);
        taken += !answer.too_long;
    }
    assert_int_equal(taken, 3);
    free(reply);
    free(answer.value);
}

// The most records a message can hold, and the most names: each costs no more than it should.
static void test_fullest_message_is_parsed_whole(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct answer_limits limits = {
        .ttl_max_s = 86400, .ttl_negative_max_s = 3600, .udp_payload_max = 1232};
    struct packet head, record = packet_of("00 ff00 0001 0000012c 0000");
    struct key key;
    uint8_t *reply = malloc(MESSAGE_LEN_MAX);
    assert_true(answer.value && reply);
    key_root(&key, &head);
    key_change(&key, TYPE_ANY, 0);
    store_be16(head.bytes + 13, TYPE_ANY);
    struct writer w = writer_over(reply, MESSAGE_LEN_MAX);
    write_bytes(&w, head.bytes, head.len);
    unsigned count = 0;
    while (w.size - w.at >= record.len) {
        write_bytes(&w, record.bytes, record.len);
        count++;
    }
    assert_int_equal(count, 5956);
    store_be16(reply + 6, (uint16_t)count);
    assert_int_equal(answer_parse(&answer, reply, w.at, &key, &limits), REPLY_GOOD);
    assert_int_equal(answer.len, w.at + 2 * count + sizeof(struct answer_trailer));
    assert_in_range(answer.len, 77000, CACHE_VALUE_MAX);
    free(reply);
    free(answer.value);
}

// A pointer reaches 16,383 octets: names that stand further back are targets, those behind are not.
static void test_names_beyond_the_reach_of_pointers_are_written_out(void **state)
{
    (void)state;
    struct message *from = calloc(1, sizeof *from), *to = calloc(1, sizeof *to);
    assert_true(from && to);
    struct packet near = packet_of("'near' 00 0002 0001 0000012c 0001 00");
    struct packet far = packet_of("'far' 00 0002 0001 0000012c 0006 'near' 00");
    for (uint16_t len = 16330; len < 16400; len++) {
        struct writer w = writer_over(from->bytes, sizeof from->bytes);
        write_room(&w, MESSAGE_HEADER_LEN);
        write_bytes(&w, near.bytes, near.len);
        struct packet filler = packet_of("00 ff00 0001 0000012c");
        write_bytes(&w, filler.bytes, filler.len);
        write_u16(&w, len);
        memset(write_room(&w, len), 0, len);
        size_t far_at = w.at;
        write_bytes(&w, far.bytes, far.len);
        write_bytes(&w, far.bytes, far.len);
        from->len = w.at;
        from->count = 4;
        assert_true(rebuild_all(to, MESSAGE_LEN_MAX, from));
        struct reader r = reader_over(to->bytes, to->len);
        r.at = far_at;
        // The data's name is a pointer in both; the second owner only where the first is in reach.
        for (unsigned i = 0; i < 2; i++) {
            struct record record;
            size_t start = r.at, owner_len = i == 1 && far_at <= 0x3fff ? 2 : 5;
            assert_true(record_read(&r, &record));
            assert_packet(record.owner.bytes, record.owner.len, "'far' 00");
            assert_int_equal(record.data_at - start, owner_len + 10);
            assert_int_equal(record.data_len, 2);
            assert_int_equal(load_be16(to->bytes + record.data_at), 0xc00c);
        }
        assert_int_equal(r.at, to->len);
    }
    free(to);
    free(from);
}

// 127 labels to a name is the most there is.
static void test_name_of_127_labels_is_written_and_pointed_to(void **state)
{
    (void)state;
    struct name name = {.len = 255};
    uint8_t out[600];
    struct rebuild b;
    for (unsigned i = 0; i < 127; i++) {
        name.bytes[2 * i] = 1;
        name.bytes[2 * i + 1] = 'a'; // all its parents end alike
    }
    rebuild_begin(&b, out, sizeof out, 1);
    rebuild_name(&b, &name, true);
    assert_int_equal(b.out.at, 12 + 255);
    rebuild_name(&b, &name, true);
    assert_int_equal(b.out.at, 12 + 255 + 2);
    assert_int_equal(load_be16(out + 12 + 255), 0xc00c);
    rebuild_name(&b, &name, false);
    assert_int_equal(b.out.at, 12 + 255 + 2 + 255);
    assert_memory_equal(out + 12 + 257, name.bytes, 255);
    assert_false(b.out.failed);
    rebuild_name(&b, &name, false);
    assert_true(b.out.failed);
}

// Each name lies in the one before, so that each could be written as a label and a pointer. However
// they were read, what was written must not lead over more pointers than the next reader allows.
static void test_names_are_written_with_few_pointers(void **state)
{
    (void)state;
    struct message *from = calloc(1, sizeof *from), *to = calloc(1, sizeof *to);
    assert_true(from && to);
    struct name name = {.len = 1};
    struct writer w = writer_over(from->bytes, sizeof from->bytes);
    write_room(&w, MESSAGE_HEADER_LEN);
    size_t last = 0;
    for (from->count = 0; from->count < 2500; from->count++) {
        if (name.len < 200) {
            memmove(name.bytes + 2, name.bytes, name.len);
            name.bytes[0] = 1;
            name.bytes[1] = (uint8_t)('a' + from->count % 26);
            name.len += 2;
            last = w.at;
            write_bytes(&w, name.bytes, name.len);
        } else {
            write_u16(&w, (uint16_t)(0xc000 | last));
        }
        write_bytes(&w, "\0\16\0\1\0\0\1\54\0\4", 10); // MINFO
        write_u16(&w, (uint16_t)(0xc000 | last));
        write_u16(&w, (uint16_t)(0xc000 | last));
    }
    from->len = w.at;
    assert_true(!w.failed);
    assert_in_range(last, 1, 0x3fff);
    assert_true(rebuild_all(to, MESSAGE_LEN_MAX, from));
    struct reader r = reader_over(to->bytes, to->len);
    r.at = MESSAGE_HEADER_LEN;
    for (unsigned i = 0; i < to->count; i++) {
        struct record record;
        struct name names[2];
        size_t before = r.hops_left;
        assert_true(record_read(&r, &record));
        struct reader data = r;
        data.at = record.data_at;
        assert_true(name_read(&data, &names[0]) && name_read(&data, &names[1]));
        assert_in_range(before - data.hops_left, 0, 3 * REBUILD_HOPS_MAX);
        r.hops_left = data.hops_left;
    }
    assert_int_equal(r.at, to->len);
    free(to);
    free(from);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_messages_say_the_same_when_rebuilt),
        cmocka_unit_test(test_growth_beyond_64_kib_is_reported),
        cmocka_unit_test(test_fullest_message_is_parsed_whole),
        cmocka_unit_test(test_names_beyond_the_reach_of_pointers_are_written_out),
        cmocka_unit_test(test_name_of_127_labels_is_written_and_pointed_to),
        cmocka_unit_test(test_names_are_written_with_few_pointers),
    };
    return cmocka_run_group_tests_name("rebuild", tests, NULL, NULL);
}
