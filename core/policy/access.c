// SPDX-License-Identifier: MIT
#include "core/policy/access.h"

// Building: every prefix gives two borders, where it begins and where it ends. The verdict right
// after a border is that of the longest prefix which covers it. With thousands of prefixes the
// search for it, made once per border at load, stays below a second; asking is one binary search.

struct number {
    uint64_t high, low;
};

static struct number number_of(const uint8_t ip[16], uint8_t family)
{
    if (family == ADDRESS_IPV4)
        return (struct number){0, load_be32(ip)};
    return (struct number){(uint64_t)load_be32(ip) << 32 | load_be32(ip + 4),
                           (uint64_t)load_be32(ip + 8) << 32 | load_be32(ip + 12)};
}

static inline bool below(struct number a, struct number b)
{
    return a.high != b.high ? a.high < b.high : a.low < b.low;
}

// The first address after a prefix; false if it reaches to the end of all addresses.
static bool prefix_after(const struct prefix *prefix, struct number *after)
{
    unsigned bits = prefix->family == ADDRESS_IPV4 ? 32 : 128;
    unsigned host = bits - prefix->length;
    *after = number_of(prefix->ip, prefix->family);
    if (host >= 64) {
        uint64_t step = host == 128 ? 0 : (uint64_t)1 << (host - 64);
        after->high += step;
        return after->high != 0;
    }
    after->low += (uint64_t)1 << host;
    if (after->low == 0)
        after->high++;
    if (bits == 32)
        return after->low >> 32 == 0;
    return after->high != 0 || after->low != 0;
}

static bool prefix_covers(const struct prefix *prefix, struct number at)
{
    struct number after;
    bool bounded = prefix_after(prefix, &after);
    return !below(at, number_of(prefix->ip, prefix->family)) && (!bounded || below(at, after));
}

static size_t prefix_count(const struct settings *settings)
{
    return settings->access_allow.count + settings->access_refuse.count +
           settings->access_drop.count;
}

size_t access_size(const struct settings *settings)
{
    return (2 * prefix_count(settings) + 2) * sizeof(struct access_range);
}

// One of the three lists with its verdict.
struct verdict_list {
    const struct prefix_list *list;
    enum access_verdict verdict;
};

static void sift_down(struct access_range *heap, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        struct number a = {heap[child].first[0], heap[child].first[1]};
        if (child + 1 < count) {
            struct number b = {heap[child + 1].first[0], heap[child + 1].first[1]};
            if (below(a, b)) {
                a = b;
                child++;
            }
        }
        if (!below((struct number){heap[at].first[0], heap[at].first[1]}, a))
            return;
        struct access_range swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

static void heap_sort(struct access_range *ranges, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(ranges, i, count);
    for (size_t i = count; i-- > 1;) {
        struct access_range swap = ranges[0];
        ranges[0] = ranges[i];
        ranges[i] = swap;
        sift_down(ranges, 0, i);
    }
}

static enum access_verdict verdict_at(const struct verdict_list lists[3], uint8_t family,
                                      struct number at)
{
    enum access_verdict verdict = ACCESS_REFUSE;
    int longest = -1;
    for (unsigned l = 0; l < 3; l++) {
        for (size_t i = 0; i < lists[l].list->count; i++) {
            const struct prefix *prefix = &lists[l].list->items[i];
            if (prefix->family == family && prefix->length > longest && prefix_covers(prefix, at)) {
                longest = prefix->length;
                verdict = lists[l].verdict;
            }
        }
    }
    return verdict;
}

// Writes the ranges of one family; returns how many.
static size_t family_build(struct access_range *ranges, const struct verdict_list lists[3],
                           uint8_t family)
{
    size_t count = 0;
    ranges[count++] = (struct access_range){0};
    for (unsigned l = 0; l < 3; l++) {
        for (size_t i = 0; i < lists[l].list->count; i++) {
            const struct prefix *prefix = &lists[l].list->items[i];
            if (prefix->family != family)
                continue;
            struct number first = number_of(prefix->ip, family), after;
            ranges[count++] = (struct access_range){.first = {first.high, first.low}};
            if (prefix_after(prefix, &after))
                ranges[count++] = (struct access_range){.first = {after.high, after.low}};
        }
    }
    heap_sort(ranges, count);

    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct access_range range = ranges[i];
        range.verdict =
            (uint8_t)verdict_at(lists, family, (struct number){range.first[0], range.first[1]});
        if (kept == 0 || ranges[kept - 1].verdict != range.verdict)
            ranges[kept++] = range;
    }
    return kept;
}

void access_build(struct access_list *list, void *memory, const struct settings *settings)
{
    const struct verdict_list lists[3] = {
        {&settings->access_allow, ACCESS_ALLOW},
        {&settings->access_refuse, ACCESS_REFUSE},
        {&settings->access_drop, ACCESS_DROP},
    };
    struct access_range *ranges = memory;
    list->ipv4 = ranges;
    list->ipv4_count = family_build(ranges, lists, ADDRESS_IPV4);
    ranges += list->ipv4_count;
    list->ipv6 = ranges;
    list->ipv6_count = family_build(ranges, lists, ADDRESS_IPV6);
}

// The last range that begins at or before the address.
static enum access_verdict range_find(const struct access_range *ranges, size_t count,
                                      struct number at)
{
    while (count > 1) {
        size_t half = count / 2;
        bool after = below(at, (struct number){ranges[half].first[0], ranges[half].first[1]});
        ranges += after ? 0 : half;
        count = after ? half : count - half;
    }
    return (enum access_verdict)ranges->verdict;
}

enum access_verdict access_check(const struct access_list *list, const struct address *client)
{
    struct number at = number_of(client->ip, client->family);
    if (client->family == ADDRESS_IPV4)
        return range_find(list->ipv4, list->ipv4_count, at);
    return range_find(list->ipv6, list->ipv6_count, at);
}
