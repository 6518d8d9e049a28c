// SPDX-License-Identifier: MIT
#include "core/policy/block.h"

#include "core/address.h"

// What always holds of a set: the entries of a bucket stand from its front without a gap, and where
// one stands in a later bucket than its own, all from its own up to there are full. There is always
// a bucket that is not full, as six places of eight are used at most on the average; so every
// search ends.

bool block_add(uint64_t *buckets, uint64_t bucket_count, uint64_t entry)
{
    uint64_t hash = entry & ~(uint64_t)BLOCK_ENTRY_ALLOW;
    uint64_t bucket = block_bucket_of(hash, bucket_count);
    for (;;) {
        uint64_t *entries = buckets + bucket * BLOCK_BUCKET;
        for (size_t i = 0; i < BLOCK_BUCKET; i++) {
            if (entries[i] == 0) {
                entries[i] = entry;
                return true;
            }
            if ((entries[i] ^ hash) <= BLOCK_ENTRY_ALLOW) {
                entries[i] |= entry & BLOCK_ENTRY_ALLOW;
                return false;
            }
        }
        bucket = bucket + 1 < bucket_count ? bucket + 1 : 0;
    }
}

// --- lines -------------------------------------------------------------------------------------

struct piece {
    const char *text;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct piece trimmed(const char *text, size_t len)
{
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    while (len > 0 && is_blank(*text)) {
        text++;
        len--;
    }
    return (struct piece){text, len};
}

// The next word of a line; its length is 0 at the end.
static struct piece word_next(struct piece *line)
{
    struct piece word = {line->text, 0};
    while (word.len < line->len && !is_blank(word.text[word.len]))
        word.len++;
    *line = trimmed(line->text + word.len, line->len - word.len);
    return word;
}

static bool starts_with(struct piece piece, const char *start)
{
    size_t i = 0;
    while (i < piece.len && start[i] != '\0' && piece.text[i] == start[i])
        i++;
    return start[i] == '\0';
}

static bool is_word(struct piece piece, const char *word)
{
    size_t i = 0;
    while (i < piece.len && word[i] != '\0' && piece.text[i] == word[i])
        i++;
    return i == piece.len && word[i] == '\0';
}

static struct piece without(struct piece piece, size_t count)
{
    return (struct piece){piece.text + count, piece.len - count};
}

static bool is_address(struct piece word)
{
    struct prefix prefix;
    return word.len > 0 && !memchr(word.text, '/', word.len) &&
           prefix_parse(&prefix, word.text, word.len);
}

// Letters, digits, - and _ with dots between: what names in lists are made of. Others would be a
// mistake (a URL, a pattern) more often than not. Octets above 127 (UTF-8) are not: a list has
// names as they are asked for (RFC 5891).
static bool is_plain(struct piece word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
        if (!good)
            return false;
    }
    return word.len > 0;
}

// What the hosts files that lists come in say of the machine itself.
static bool is_own(struct piece word)
{
    static const char *const own[] = {
        "localhost",       "localhost.localdomain", "local",          "broadcasthost",
        "0.0.0.0",         "ip6-localhost",         "ip6-loopback",   "ip6-localnet",
        "ip6-mcastprefix", "ip6-allnodes",          "ip6-allrouters", "ip6-allhosts"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (is_word(word, own[i]))
            return true;
    }
    return false;
}

static enum block_line bad(struct block_names *names, const char *why)
{
    names->why = why;
    return BLOCK_LINE_BAD;
}

static enum block_line word_parse(struct piece word, bool allow, struct suffix_seed seed,
                                  struct block_names *names)
{
    struct name name;
    if (starts_with(word, "*."))
        word = without(word, 2);
    else if (word.len > 1 && word.text[0] == '.')
        word = without(word, 1);
    if (is_address(word))
        return bad(names, "an address without a name");
    if (!is_plain(word) || !name_parse(&name, word.text, word.len))
        return bad(names, "not a domain name");
    if (name.len == 1)
        return bad(names, "the root stands for all names");
    name_lower(name.bytes, name.bytes, name.len);
    names->entries[names->count++] = block_entry(seed, name.bytes, allow);
    return BLOCK_LINE_TAKEN;
}

// Behind `||` or `@@||`: a name and ^ with | or $important at most behind it. Rules that say more,
// about what kind of request or which site it comes from, are not for a name server; nor is what
// has no ^, which stands for all names that begin so.
static enum block_line rule_parse(struct piece rule, bool allow, struct suffix_seed seed,
                                  struct block_names *names)
{
    const char *end = rule.len > 0 ? memchr(rule.text, '^', rule.len) : NULL;
    if (!end)
        return BLOCK_LINE_SKIPPED;
    struct piece name = {rule.text, (size_t)(end - rule.text)};
    struct piece rest = without(rule, name.len + 1);
    bool plain = rest.len == 0 || is_word(rest, "|") || is_word(rest, "$important");
    if (!plain || !is_plain(name) || is_address(name))
        return BLOCK_LINE_SKIPPED;
    return word_parse(name, allow, seed, names);
}

static enum block_line hosts_parse(struct piece line, bool allow, struct suffix_seed seed,
                                   struct block_names *names)
{
    enum block_line verdict = BLOCK_LINE_EMPTY;
    for (struct piece word = word_next(&line); word.len > 0; word = word_next(&line)) {
        if (is_own(word))
            continue;
        verdict = word_parse(word, allow, seed, names);
        if (verdict != BLOCK_LINE_TAKEN)
            break;
    }
    return verdict;
}

// Cosmetic rules and the like: `site##.ad`, `site#@#.ad`, `/regular/`, `|https://...`, `-ad.`
static bool is_other_rule(struct piece line)
{
    for (size_t i = 0; i + 1 < line.len; i++) {
        char next = line.text[i + 1];
        if (line.text[i] == '#' &&
            (next == '#' || next == '@' || next == '?' || next == '$' || next == '%'))
            return true;
    }
    return starts_with(line, "/") || starts_with(line, "|") || starts_with(line, "@@");
}

enum block_line block_line_read(const char *text, size_t len, bool allow, struct suffix_seed seed,
                                struct block_names *names)
{
    names->count = 0;
    names->why = NULL;
    if (len > BLOCK_LINE_MAX)
        return bad(names, "the line is too long");
    struct piece line = trimmed(text, len);
    if (starts_with(line, "\xef\xbb\xbf")) // a byte order mark
        line = trimmed(line.text + 3, line.len - 3);
    if (line.len == 0 || *line.text == '#' || *line.text == '!' || *line.text == '[')
        return BLOCK_LINE_EMPTY;
    if (starts_with(line, "||"))
        return rule_parse(without(line, 2), allow, seed, names);
    if (starts_with(line, "@@||"))
        return rule_parse(without(line, 4), true, seed, names);
    if (is_other_rule(line))
        return BLOCK_LINE_SKIPPED;
    const char *comment = memchr(line.text, '#', line.len);
    if (comment)
        line = trimmed(line.text, (size_t)(comment - line.text));
    struct piece rest = line;
    struct piece word = word_next(&rest);
    if (rest.len > 0 && is_address(word))
        return hosts_parse(rest, allow, seed, names);
    if (rest.len > 0)
        return bad(names, "more than a name");
    return word_parse(word, allow, seed, names);
}
