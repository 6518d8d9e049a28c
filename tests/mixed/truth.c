// SPDX-License-Identifier: MIT
#include "tests/mixed/truth.h"

#include "tests/sim/dice.h"

#include <stdio.h>
#include <string.h>

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_TXT = 16, TYPE_AAAA = 28 };

// Words differ in length, so that what is patched into the wrong place shows.
const struct family families[] = {
    {"one", ANSWER_ADDRESS, TYPE_A, 300, false},
    {"three", ANSWER_ADDRESSES, TYPE_A, 600, false},
    {"sixteen-octets", ANSWER_SIX, TYPE_AAAA, 300, false},
    {"text", ANSWER_TEXT, TYPE_TXT, 3600, false},
    {"large", ANSWER_LARGE, TYPE_TXT, 3600, false},
    {"huge", ANSWER_HUGE, TYPE_TXT, 3600, false},
    {"alias-of-another", ANSWER_ALIAS, TYPE_A, 300, false},
    {"none", ANSWER_NXDOMAIN, TYPE_A, 300, false},
    {"empty", ANSWER_NODATA, TYPE_A, 300, false},
    {"brief", ANSWER_ADDRESS, TYPE_A, 2, false},
    {"blocked", ANSWER_LOCAL, TYPE_A, 86400, false},
    {"here.mixed.example", ANSWER_LOCAL, TYPE_A, 86400, true},
    {"localhost", ANSWER_LOCAL, TYPE_AAAA, 86400, true},
    {"7.2.0.192.in-addr.arpa", ANSWER_LOCAL, TYPE_PTR, 86400, true},
    {"not-asked", ANSWER_LOCAL, TYPE_A, 86400, false},
};
const size_t family_count = sizeof families / sizeof *families;

void truth_init(struct truth *truth, uint64_t secret)
{
    truth->secret = secret;
    for (size_t i = 0; i < family_count; i++)
        truth->issued[i] = TRUTH_POPULAR;
}

uint32_t truth_issue(struct truth *truth, size_t family)
{
    return truth->issued[family]++;
}

static uint32_t mixed(const struct truth *truth, size_t family, uint32_t number, unsigned use)
{
    return (
        uint32_t)(dice_mix(truth->secret ^ dice_mix((uint64_t)number << 16 | family << 8 | use)) >>
                  16);
}

void truth_label(const struct truth *truth, size_t family, uint32_t number,
                 char label[static TRUTH_LABEL])
{
    char digits[TRUTH_LABEL + 1];
    snprintf(digits, sizeof digits, "%08x%08x", number, mixed(truth, family, number, 0));
    memcpy(label, digits, TRUTH_LABEL);
}

uint32_t truth_data(const struct truth *truth, size_t family, uint32_t number)
{
    return mixed(truth, family, number, 1);
}

size_t truth_name(const struct truth *truth, size_t family, uint32_t number,
                  uint8_t name[static 256])
{
    const struct family *of = &families[family];
    char text[256], label[TRUTH_LABEL];
    truth_label(truth, family, number, label);
    if (of->literal)
        snprintf(text, sizeof text, "%s", of->word);
    else
        snprintf(text, sizeof text, "%.*s.%s.%s", TRUTH_LABEL, label, of->word, TRUTH_ZONE);
    size_t at = 0;
    for (const char *part = text; *part;) {
        size_t len = strcspn(part, ".");
        name[at++] = (uint8_t)len;
        memcpy(name + at, part, len);
        at += len;
        part += len + (part[len] == '.');
    }
    name[at++] = 0;
    return at;
}

static bool equal_lowered(const uint8_t *name, const uint8_t *lower, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t octet = name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 32 : name[i];
        if (octet != lower[i])
            return false;
    }
    return true;
}

bool truth_find(const struct truth *truth, const uint8_t *name, size_t len, size_t *family,
                uint32_t *number)
{
    char digits[9] = {0};
    unsigned read = 0;
    if (len > 9 && name[0] == TRUTH_LABEL) {
        memcpy(digits, name + 1, 8);
        sscanf(digits, "%8x", &read);
    }
    for (size_t i = 0; i < family_count; i++) {
        uint8_t wanted[256];
        size_t wanted_len = truth_name(truth, i, read, wanted);
        if (wanted_len == len && equal_lowered(name, wanted, len) && read < truth->issued[i]) {
            *family = i;
            *number = read;
            return true;
        }
    }
    return false;
}
