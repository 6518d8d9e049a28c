// SPDX-License-Identifier: MIT
#include "core/policy/access.h"

#include <assert.h>

// What holds here:
// - A reference is a verdict, or the place of a node (a multiple of LINE) with what it is in its
// low
//   bits.
// - A node is only reached by addresses that agree with its prefixes up to its parent's octet. If
//   its own is not the next one, REF_SKIPS says so and all in front of it are compared: an address
//   that differs gets the verdict of the prefix around the node, as nothing ends in between.
// - Every node either has a prefix that ends in its octet, or parts at least two nodes below it. So
//   there are fewer than twice as many nodes as prefixes, and fewer inner ones than prefixes.
//
// Building: the prefixes are sorted by address and length, so that all of a node's stand together
// and a shorter one before those within it. A node's verdicts are painted in that order.

enum {
    ROOT_BITS = 16,
    ROOT_SIZE = 1 << ROOT_BITS,
    FANOUT = 256,
    LINE = 64,
};

enum {
    REF_VERDICT = 3, // the bits of a verdict, if neither of the next two is set
    REF_LEAF = 4,
    REF_INNER = 8,
    REF_SKIPS = 16,
};

struct node {
    uint64_t value[2]; // the octets in front of its own, as two numbers
    uint64_t mask[2];
    uint8_t at;      // its own octet, counted from 0
    uint8_t verdict; // of addresses that differ before
    uint8_t unused[14];
};

struct leaf {
    struct node node;
    uint8_t verdicts[FANOUT];
};

struct inner {
    struct node node;
    uint32_t refs[FANOUT];
};

static size_t lines(size_t size)
{
    return (size + LINE - 1) & ~(size_t)(LINE - 1);
}

// A prefix while the trie is built.
struct entry {
    uint8_t ip[16];
    uint8_t length;
    uint8_t verdict;
};

struct building {
    struct entry *entries; // of one family, sorted
    uint8_t *nodes;
    size_t used; // octets of them
};

static size_t prefix_count(const struct settings *settings)
{
    return settings->access_allow.count + settings->access_refuse.count +
           settings->access_drop.count;
}

size_t access_size(const struct settings *settings)
{
    size_t count = prefix_count(settings);
    return LINE + 2 * ROOT_SIZE * sizeof(uint32_t) + lines(count * sizeof(struct entry)) +
           count * (lines(sizeof(struct leaf)) + lines(sizeof(struct inner)));
}

static bool before(const struct entry *a, const struct entry *b)
{
    int order = memcmp(a->ip, b->ip, sizeof a->ip);
    return order != 0 ? order < 0 : a->length < b->length;
}

static void sift_down(struct entry *heap, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&heap[at], &heap[child]))
            return;
        struct entry swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

static void heap_sort(struct entry *entries, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(entries, i, count);
    for (size_t i = count; i-- > 1;) {
        struct entry swap = entries[0];
        entries[0] = entries[i];
        entries[i] = swap;
        sift_down(entries, 0, i);
    }
}

// Gathers the prefixes of a family; returns how many there are.
static size_t entries_gather(struct entry *entries, const struct settings *settings, uint8_t family)
{
    const struct {
        const struct prefix_list *list;
        enum access_verdict verdict;
    } lists[] = {
        {&settings->access_allow, ACCESS_ALLOW},
        {&settings->access_refuse, ACCESS_REFUSE},
        {&settings->access_drop, ACCESS_DROP},
    };
    size_t count = 0;
    for (unsigned l = 0; l < sizeof lists / sizeof *lists; l++) {
        for (size_t i = 0; i < lists[l].list->count; i++) {
            const struct prefix *prefix = &lists[l].list->items[i];
            if (prefix->family != family)
                continue;
            struct entry *entry = &entries[count++];
            memcpy(entry->ip, prefix->ip, sizeof entry->ip);
            entry->length = prefix->length;
            entry->verdict = (uint8_t)lists[l].verdict;
        }
    }
    heap_sort(entries, count);
    return count;
}

// The octet for the node of the entries from `first` to before `end`, which all are longer than
// `from` octets and agree in those: the first in which two differ or one ends.
static unsigned branch_find(const struct building *b, size_t first, size_t end)
{
    const struct entry *low = &b->entries[first], *high = &b->entries[end - 1];
    unsigned at = 0;
    while (at < 15 && low->ip[at] == high->ip[at])
        at++;
    for (size_t i = first; i < end; i++) {
        unsigned last = (b->entries[i].length - 1u) / 8;
        at = last < at ? last : at;
    }
    return at;
}

// Paints what ends in an octet over a table of verdicts. `bits` are those in front of the table,
// `width` those that it tells apart.
static void paint(uint8_t *verdicts, const struct entry *entry, size_t index, unsigned bits,
                  unsigned width)
{
    size_t count = (size_t)1 << (bits + width - entry->length);
    memset(verdicts + index, entry->verdict, count);
}

static uint32_t node_build(struct building *b, size_t first, size_t end, unsigned next,
                           uint8_t verdict);

static void *node_add(struct building *b, size_t size, const struct entry *entry, unsigned at,
                      uint8_t verdict)
{
    struct node *node = (struct node *)(void *)(b->nodes + b->used);
    uint8_t mask[16] = {0};
    b->used += lines(size);
    memset(node, 0, size);
    memset(mask, 0xff, at);
    memcpy(node->mask, mask, sizeof mask);
    memcpy(node->value, entry->ip, sizeof node->value);
    node->value[0] &= node->mask[0];
    node->value[1] &= node->mask[1];
    node->at = (uint8_t)at;
    node->verdict = verdict;
    return node;
}

// The end of the entries that share octet `at` with the one at `first`.
static size_t group_end(const struct building *b, size_t first, size_t end, unsigned at)
{
    size_t i = first + 1;
    while (i < end && b->entries[i].ip[at] == b->entries[first].ip[at])
        i++;
    return i;
}

static uint32_t leaf_build(struct building *b, const struct entry *entry, unsigned at,
                           uint8_t verdict, const uint8_t verdicts[FANOUT])
{
    uint32_t place = (uint32_t)b->used;
    struct leaf *leaf = node_add(b, sizeof *leaf, entry, at, verdict);
    memcpy(leaf->verdicts, verdicts, FANOUT);
    return place | REF_LEAF;
}

// Makes the node of some entries that stand together and what is below it. Of their octets those
// before `next` have led here; `verdict` holds where no entry says otherwise. Goes at most 14 deep.
static uint32_t node_build(struct building *b, size_t first, size_t end, unsigned next,
                           uint8_t verdict)
{
    unsigned at = branch_find(b, first, end), longer = 0;
    uint32_t skips = at == next ? 0 : REF_SKIPS;
    uint8_t verdicts[FANOUT];
    memset(verdicts, verdict, sizeof verdicts);
    for (size_t i = first; i < end; i++) {
        const struct entry *entry = &b->entries[i];
        if (entry->length <= 8 * (at + 1))
            paint(verdicts, entry, entry->ip[at], 8 * at, 8);
        else
            longer++;
    }
    if (longer == 0)
        return leaf_build(b, &b->entries[first], at, verdict, verdicts) | skips;

    uint32_t place = (uint32_t)b->used;
    struct inner *inner = node_add(b, sizeof *inner, &b->entries[first], at, verdict);
    for (unsigned i = 0; i < FANOUT; i++)
        inner->refs[i] = verdicts[i];
    for (size_t i = first; i < end;) {
        size_t after = group_end(b, i, end, at);
        unsigned octet = b->entries[i].ip[at];
        while (i < after && b->entries[i].length <= 8 * (at + 1))
            i++;
        if (i < after)
            inner->refs[octet] = node_build(b, i, after, at + 1, verdicts[octet]);
        i = after;
    }
    return place | REF_INNER | skips;
}

static void root_build(struct building *b, uint32_t *root, size_t count)
{
    for (size_t i = 0; i < ROOT_SIZE; i++)
        root[i] = ACCESS_REFUSE;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &b->entries[i];
        if (entry->length > ROOT_BITS)
            continue;
        size_t width = (size_t)1 << (ROOT_BITS - entry->length), from = load_be16(entry->ip);
        for (size_t place = from; place < from + width; place++)
            root[place] = entry->verdict;
    }
    for (size_t i = 0; i < count;) {
        size_t after = i + 1;
        uint32_t *ref = &root[load_be16(b->entries[i].ip)];
        if (b->entries[i].length <= ROOT_BITS) {
            i = after;
            continue;
        }
        while (after < count && load_be16(b->entries[after].ip) == load_be16(b->entries[i].ip))
            after++;
        *ref = node_build(b, i, after, ROOT_BITS / 8, (uint8_t)*ref);
        i = after;
    }
}

void access_build(struct access_list *list, void *memory, const struct settings *settings)
{
    size_t count = prefix_count(settings);
    uint8_t *at = memory;
    at += -(uintptr_t)at % LINE;
    uint32_t *roots[2] = {(uint32_t *)(void *)at, (uint32_t *)(void *)at + ROOT_SIZE};
    at += 2 * ROOT_SIZE * sizeof(uint32_t);
    struct building b = {.entries = (struct entry *)at};
    b.nodes = at + lines(count * sizeof(struct entry));
    for (unsigned family = 0; family < 2; family++) {
        size_t taken = entries_gather(b.entries, settings, family ? ADDRESS_IPV6 : ADDRESS_IPV4);
        root_build(&b, roots[family], taken);
    }
    assert(b.used <= count * (lines(sizeof(struct leaf)) + lines(sizeof(struct inner))));
    *list = (struct access_list){
        .nodes = b.nodes, .ipv4 = roots[0], .ipv6 = roots[1], .node_octets = b.used};
}

static inline bool agrees(const struct node *node, const uint8_t ip[16], bool ipv6)
{
    uint64_t value[2];
    memcpy(value, ip, sizeof value);
    uint64_t differs = (value[0] ^ node->value[0]) & node->mask[0];
    if (ipv6)
        differs |= (value[1] ^ node->value[1]) & node->mask[1];
    return differs == 0;
}

// Follows the references from the root's; `ipv6` is known where this is called.
static inline enum access_verdict walk(const uint8_t *nodes, uint32_t ref, const uint8_t ip[16],
                                       bool ipv6)
{
    const uint8_t *octet = ip + ROOT_BITS / 8;
    while (ref & (REF_LEAF | REF_INNER)) {
        const void *at = nodes + (ref & ~(uint32_t)(LINE - 1));
        if (ref & REF_SKIPS) {
            const struct node *node = at;
            if (!agrees(node, ip, ipv6))
                return (enum access_verdict)node->verdict;
            octet = ip + node->at;
        }
        if (ref & REF_LEAF) {
            const struct leaf *leaf = at;
            return (enum access_verdict)leaf->verdicts[*octet];
        }
        ref = ((const struct inner *)at)->refs[*octet++];
    }
    return (enum access_verdict)(ref & REF_VERDICT);
}

enum access_verdict access_check(const struct access_list *list, const struct address *client)
{
    unsigned first = load_be16(client->ip);
    if (client->family == ADDRESS_IPV4)
        return walk(list->nodes, list->ipv4[first], client->ip, false);
    return walk(list->nodes, list->ipv6[first], client->ip, true);
}
