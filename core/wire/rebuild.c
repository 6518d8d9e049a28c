// SPDX-License-Identifier: MIT
#include "core/wire/rebuild.h"

enum { POINTER_MARK = 0xc0, POINTER_REACH = 0x3fff };

// What stands in the data of a type: so many octets, then character strings, then names, then
// octets again, and what may follow. Types without a row are opaque (RFC 3597 4).
enum rest {
    REST_NONE,
    REST_ANY,
    REST_STRINGS, // one character string or more (RFC 1035 3.3.14)
};

struct layout {
    uint16_t type;
    uint8_t octets;
    uint8_t strings;
    uint8_t names;
    uint8_t behind;
    uint8_t rest;
    bool compress; // only where RFC 1035 defines the type
};

static const struct layout layouts[] = {
    {.type = 1, .octets = 4},                                 // A
    {.type = 2, .names = 1, .compress = true},                // NS
    {.type = 3, .names = 1, .compress = true},                // MD
    {.type = 4, .names = 1, .compress = true},                // MF
    {.type = 5, .names = 1, .compress = true},                // CNAME
    {.type = 6, .names = 2, .behind = 20, .compress = true},  // SOA
    {.type = 7, .names = 1, .compress = true},                // MB
    {.type = 8, .names = 1, .compress = true},                // MG
    {.type = 9, .names = 1, .compress = true},                // MR
    {.type = 11, .octets = 5, .rest = REST_ANY},              // WKS
    {.type = 12, .names = 1, .compress = true},               // PTR
    {.type = 13, .strings = 2},                               // HINFO
    {.type = 14, .names = 2, .compress = true},               // MINFO
    {.type = 15, .octets = 2, .names = 1, .compress = true},  // MX
    {.type = 16, .rest = REST_STRINGS},                       // TXT
    {.type = 17, .names = 2},                                 // RP
    {.type = 18, .octets = 2, .names = 1},                    // AFSDB
    {.type = 21, .octets = 2, .names = 1},                    // RT
    {.type = 24, .octets = 18, .names = 1, .rest = REST_ANY}, // SIG
    {.type = 26, .octets = 2, .names = 2},                    // PX
    {.type = 28, .octets = 16},                               // AAAA
    {.type = 30, .names = 1, .rest = REST_ANY},               // NXT
    {.type = 33, .octets = 6, .names = 1},                    // SRV
    {.type = 35, .octets = 4, .strings = 3, .names = 1},      // NAPTR
    {.type = 36, .octets = 2, .names = 1},                    // KX
    {.type = 39, .names = 1},                                 // DNAME
};

static const struct layout opaque = {.rest = REST_ANY};

static const struct layout *layout_find(uint16_t type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (layouts[i].type == type)
            return &layouts[i];
    }
    return &opaque;
}

static void string_skip(struct reader *data)
{
    uint8_t len = read_u8(data);
    read_bytes(data, len);
}

bool record_fits(const struct record *record, const struct reader *message)
{
    const struct layout *layout = layout_find(record->type);
    struct reader data = reader_over(message->bytes, record->data_at + record->data_len);
    data.at = record->data_at;
    read_bytes(&data, layout->octets);
    for (unsigned i = 0; i < layout->strings; i++)
        string_skip(&data);
    for (unsigned i = 0; i < layout->names && !data.failed; i++)
        data.failed |= !name_skip(&data);
    read_bytes(&data, layout->behind);
    if (layout->rest == REST_STRINGS) {
        do
            string_skip(&data);
        while (!data.failed && data.at < data.len);
    }
    return !data.failed && (layout->rest == REST_ANY || data.at == data.len);
}

bool record_read(struct reader *r, struct record *record)
{
    return name_read(r, &record->owner) && record_read_rest(r, record);
}

bool record_read_rest(struct reader *r, struct record *record)
{
    record->type = read_u16(r);
    record->class = read_u16(r);
    record->ttl = read_u32(r);
    record->data_len = read_u16(r);
    record->data_at = r->at;
    return read_bytes(r, record->data_len) != NULL;
}

void rebuild_begin(struct rebuild *b, uint8_t *out, size_t size, uint64_t seed)
{
    b->out = writer_over(out, size);
    b->seed = suffix_seed_of(seed);
    write_room(&b->out, MESSAGE_HEADER_LEN);
    memset(b->names, 0, sizeof b->names);
    b->name_count = 0;
}

// The place of the table that leads to the name of this hash, or the free one where it belongs.
static unsigned names_seek(const struct rebuild *b, uint64_t hash)
{
    uint64_t at = hash;
    while (b->names[at % REBUILD_NAMES] != 0 && b->hashes[at % REBUILD_NAMES] != hash)
        at++;
    return at % REBUILD_NAMES;
}

// Remembers a name at an offset, in the place of an older one that leads over more pointers. What a
// pointer cannot reach is left out, and when the table is three quarters full so are all later
// names: they are written out, which is longer but right.
static void names_keep(struct rebuild *b, uint64_t hash, size_t offset, unsigned hops)
{
    unsigned place = names_seek(b, hash);
    bool fresh = b->names[place] == 0;
    if (offset > POINTER_REACH || (fresh && b->name_count >= REBUILD_NAMES / 4 * 3))
        return;
    b->name_count += fresh;
    b->names[place] = (uint16_t)offset;
    b->hashes[place] = hash;
    b->hops[place] = (uint8_t)hops;
}

// Writes as much of the name as does not stand already. Where that would lead over too many
// pointers all of it is written, and is what later names point to.
static void name_compress(struct rebuild *b, const struct name *name)
{
    struct suffixes parts;
    uint8_t lower[NAME_MAX_LEN];
    size_t start = b->out.at;
    unsigned fresh = 0, hops = 0, place = 0;

    name_lower(lower, name->bytes, name->len);
    suffixes_find(&parts, b->seed, lower);
    for (; fresh < parts.count; fresh++) {
        place = names_seek(b, parts.hashes[fresh]);
        if (b->names[place] != 0)
            break;
    }
    if (fresh < parts.count && b->hops[place] >= REBUILD_HOPS_MAX)
        fresh = parts.count;
    if (fresh < parts.count) {
        write_bytes(&b->out, name->bytes, parts.places[fresh]);
        write_u16(&b->out, (uint16_t)(POINTER_MARK << 8 | b->names[place]));
        hops = b->hops[place] + 1u;
    } else {
        write_bytes(&b->out, name->bytes, name->len);
    }
    if (b->out.failed)
        return;
    for (unsigned i = 0; i < fresh; i++)
        names_keep(b, parts.hashes[i], start + parts.places[i], hops);
}

void rebuild_name(struct rebuild *b, const struct name *name, bool compress)
{
    if (compress)
        name_compress(b, name);
    else
        write_bytes(&b->out, name->bytes, name->len);
}

// Writes labels of a name that was read, and behind them a pointer to what stands at a place of the
// table; NULL: the root.
static void labels_write(struct rebuild *b, const uint8_t *from, const struct seen_name *name,
                         unsigned count, const unsigned *place)
{
    size_t offsets[SUFFIX_LABELS_MAX];
    unsigned hops = place ? b->hops[*place] + 1u : 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *label = from + name->places[i];
        offsets[i] = b->out.at;
        write_bytes(&b->out, label, 1u + *label);
    }
    if (place)
        write_u16(&b->out, (uint16_t)(POINTER_MARK << 8 | b->names[*place]));
    else
        write_u8(&b->out, 0);
    for (unsigned i = 0; i < count && !b->out.failed; i++)
        names_keep(b, name->hashes[i], offsets[i], hops);
}

// Reads a name and writes it as name_compress does. What stands already is not read.
static bool name_copy(struct rebuild *b, struct reader *from, struct seen_names *seen)
{
    struct seen_name name;
    bool far = false; // a part stands, but leads over too many pointers
    if (!seen_read(seen, from, &name))
        return false;
    for (unsigned i = 0; i < name.count || seen_go_on(seen, from, &name); i++) {
        unsigned place = names_seek(b, name.hashes[i]);
        if (b->names[place] == 0 || far)
            continue;
        far = b->hops[place] >= REBUILD_HOPS_MAX;
        if (far)
            continue;
        labels_write(b, from->bytes, &name, i, &place);
        return true;
    }
    if (from->failed)
        return false;
    labels_write(b, from->bytes, &name, name.count, NULL);
    return true;
}

// Writes a record's data; `data` reads the original message and ends where the data does.
static bool rebuild_data(struct rebuild *b, const struct layout *layout, struct reader *data,
                         struct seen_names *seen)
{
    const uint8_t *octets = read_bytes(data, layout->octets);
    if (octets)
        write_bytes(&b->out, octets, layout->octets);
    for (unsigned i = 0; i < layout->strings; i++) {
        uint8_t len = read_u8(data);
        const uint8_t *string = read_bytes(data, len);
        if (!string)
            return false;
        write_u8(&b->out, len);
        write_bytes(&b->out, string, len);
    }
    for (unsigned i = 0; i < layout->names; i++) {
        struct name name;
        if (seen && layout->compress) {
            if (!name_copy(b, data, seen))
                return false;
            continue;
        }
        if (!name_read(data, &name))
            return false;
        rebuild_name(b, &name, layout->compress);
    }
    size_t rest = data->len - data->at;
    const uint8_t *tail = read_bytes(data, rest);
    if (tail)
        write_bytes(&b->out, tail, rest);
    return !data->failed;
}

// Writes what is behind a record's owner.
static size_t rebuild_rest(struct rebuild *b, const struct record *record, struct reader *message,
                           struct seen_names *seen)
{
    write_u16(&b->out, record->type);
    write_u16(&b->out, record->class);
    size_t ttl_at = b->out.at;
    write_u32(&b->out, record->ttl);
    size_t len_at = b->out.at;
    write_u16(&b->out, 0);

    struct reader data = *message;
    data.at = record->data_at;
    data.len = record->data_at + record->data_len;
    data.failed = false;
    bool good = rebuild_data(b, layout_find(record->type), &data, seen);
    message->hops_left = data.hops_left;
    if (!good || b->out.failed)
        return 0;
    size_t data_len = b->out.at - len_at - 2;
    if (data_len > UINT16_MAX)
        return 0;
    store_be16(b->out.bytes + len_at, (uint16_t)data_len);
    return ttl_at;
}

size_t rebuild_record(struct rebuild *b, const struct record *record, struct reader *message)
{
    rebuild_name(b, &record->owner, true);
    return rebuild_rest(b, record, message, NULL);
}

size_t rebuild_copy(struct rebuild *b, struct reader *message, struct seen_names *seen,
                    uint32_t ttl)
{
    struct record record;
    if (!name_copy(b, message, seen) || !record_read_rest(message, &record))
        return 0;
    record.ttl = ttl;
    return rebuild_rest(b, &record, message, seen);
}
