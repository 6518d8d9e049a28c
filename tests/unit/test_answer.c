// SPDX-License-Identifier: MIT
#include "tests/unit/answer_table.h"

// How a reply is matched and taken.

static const struct answer_limits narrow = {
    .ttl_min_s = 60, .ttl_max_s = 100, .ttl_negative_max_s = 80, .udp_payload_max = 1232};

// The key of www.example and the type that the reply is asked for.
static void key_of_reply(struct key *key, const struct packet *reply)
{
    uint16_t type = load_be16(reply->bytes + MESSAGE_HEADER_LEN + 13);
    key_of(key, type == TYPE_ANY ? ASK_ANY : type == TYPE_CNAME ? ASK_CNAME : ASK);
}

struct match_row {
    const char *name;
    const char *reply;
    enum reply_verdict verdict;
    const char *spelled; // the name as it was asked; NULL: in lower case
};

static const struct match_row match_rows[] = {
    {"match of a reply", REPLY C(0, 0, 0) ASK, REPLY_GOOD, NULL},
    {"match in the case it was asked in", REPLY C(0, 0, 0) "'WwW' 'EXaMPLe' 00 0001 0001",
     REPLY_GOOD, "'WwW' 'EXaMPLe' 00"},
    {"match with all other bits", "1234 87ff " C(0, 0, 0) ASK, REPLY_GOOD, NULL},
    {"match with octets behind", REPLY C(0, 0, 0) ASK "00", REPLY_GOOD, NULL},
    {"no octet", "", REPLY_GARBAGE, NULL},
    {"eleven octets", "1234 8180 0001 0000 0000 00", REPLY_GARBAGE, NULL},
    {"a query", "1234 0180 " C(0, 0, 0) ASK, REPLY_GARBAGE, NULL},
    {"another id", "1235 8180 " C(0, 0, 0) ASK, REPLY_QUESTION, NULL},
    {"another upper octet of the id", "0234 8180 " C(0, 0, 0) ASK, REPLY_QUESTION, NULL},
    {"opcode notify", "1234 a180 " C(0, 0, 0) ASK, REPLY_NO_QUESTION, NULL},
    {"opcode 1", "1234 8980 " C(0, 0, 0) ASK, REPLY_NO_QUESTION, NULL},
    {"no question", REPLY "0000 0000 0000 0000", REPLY_NO_QUESTION, NULL},
    {"no question counted", REPLY "0000 0000 0000 0000" ASK, REPLY_NO_QUESTION, NULL},
    {"two questions", REPLY "0002 0000 0000 0000" ASK ASK, REPLY_NO_QUESTION, NULL},
    {"another name", REPLY C(0, 0, 0) "'wwv' 'example' 00 0001 0001", REPLY_QUESTION, NULL},
    {"a shorter name", REPLY C(0, 0, 0) "'www' 00 0001 0001", REPLY_NO_QUESTION, NULL},
    {"a longer name", REPLY C(0, 0, 0) "'www' 'example' 'com' 00 0001 0001", REPLY_QUESTION, NULL},
    {"labels divided elsewhere", REPLY C(0, 0, 0) "04 777777 07 6578616d706c65 00 0001 0001",
     REPLY_QUESTION, NULL},
    {"an octet that differs in the bit of case", REPLY C(0, 0, 0) "'www' 'exam0le' 00 0001 0001",
     REPLY_QUESTION, NULL},
    {"another type", REPLY C(0, 0, 0) NAME "001c 0001", REPLY_QUESTION, NULL},
    {"another class", REPLY C(0, 0, 0) NAME "0001 0003", REPLY_QUESTION, NULL},
    {"question cut in its class", REPLY C(0, 0, 0) NAME "0001 00", REPLY_NO_QUESTION, NULL},
    {"question cut in its name", REPLY C(0, 0, 0) "'www'", REPLY_NO_QUESTION, NULL},
    {"header alone", REPLY C(0, 0, 0), REPLY_NO_QUESTION, NULL},
    // The question, but not to the letter (0x20).
    {"upper case where none was asked", REPLY C(0, 0, 0) "'WwW' 'EXAMPLE' 00 0001 0001",
     REPLY_WRONG_CASE, NULL},
    {"one letter upper case where none was asked", REPLY C(0, 0, 0) "'www' 'examplE' 00 0001 0001",
     REPLY_WRONG_CASE, NULL},
    {"lower case where upper was asked", REPLY C(0, 0, 0) ASK, REPLY_WRONG_CASE,
     "'wwW' 'example' 00"},
    {"every letter the other way round", REPLY C(0, 0, 0) "'wWw' 'ExAmPlE' 00 0001 0001",
     REPLY_WRONG_CASE, "'WwW' 'eXaMpLe' 00"},
    {"another name in the right case", REPLY C(0, 0, 0) "'Wwv' 'example' 00 0001 0001",
     REPLY_QUESTION, "'Www' 'example' 00"},
    {"another type in the wrong case", REPLY C(0, 0, 0) "'Www' 'example' 00 001c 0001",
     REPLY_QUESTION, NULL},
    // All that some servers say that refuse, or do not know EDNS.
    {"FORMERR without a question", "1234 8181 0000 0000 0000 0000", REPLY_BARE, NULL},
    {"NOTIMP without a question", "1234 8104 0000 0000 0000 0000", REPLY_BARE, NULL},
    {"FORMERR without a question but octets behind", "1234 8181 0000 0000 0000 0000" ASK,
     REPLY_BARE, NULL},
    {"FORMERR without a question and with another id", "1235 8181 0000 0000 0000 0000",
     REPLY_QUESTION, NULL},
    {"FORMERR without a question as a query", "1234 0181 0000 0000 0000 0000", REPLY_GARBAGE, NULL},
    {"FORMERR of eleven octets", "1234 8181 0000 0000 0000 00", REPLY_GARBAGE, NULL},
    {"SERVFAIL without a question", "1234 8182 0000 0000 0000 0000", REPLY_BARE, NULL},
    {"NXDOMAIN without a question", "1234 8183 0000 0000 0000 0000", REPLY_BARE, NULL},
    {"REFUSED without a question", "1234 8185 0000 0000 0000 0000", REPLY_BARE, NULL},
    {"REFUSED without a question but with OPT", "1234 8185 0000 0000 0000 0001" OPT, REPLY_BARE,
     NULL},
    {"REFUSED without a question but with an answer", "1234 8185 0000 0001 0000 0000",
     REPLY_NO_QUESTION, NULL},
    {"NOERROR without a question", "1234 8180 0000 0000 0000 0000", REPLY_NO_QUESTION, NULL},
    {"YXDOMAIN without a question", "1234 8186 0000 0000 0000 0000", REPLY_NO_QUESTION, NULL},
    {"FORMERR with its question", "1234 8181 " C(0, 0, 0) ASK, REPLY_GOOD, NULL},
    {"FORMERR with another question", "1234 8181 " C(0, 0, 0) NAME "001c 0001", REPLY_QUESTION,
     NULL},
};

static void test_match_row(void **state)
{
    const struct match_row *row = *state;
    struct packet packet = packet_of(row->reply);
    uint8_t *reply = exact_copy(packet.bytes, packet.len);
    struct key key;
    struct packet spelled = packet_of(row->spelled ? row->spelled : NAME);
    struct name_case name_case;
    key_of(&key, ASK);
    name_case_read(&name_case, spelled.bytes, spelled.len);
    assert_int_equal(reply_match(reply, packet.len, 0x1234, &key, &name_case), row->verdict);
    free(reply);
}

struct parse_row {
    const char *name;
    const char *reply;
    const char *kept; // the message in the value; NULL: the reply is malformed
    uint32_t lifetime_s;
    uint8_t rcode;
    const struct answer_limits *limits; // NULL: the usual
};

static const struct parse_row parse_rows[] = {
    // Headers.
    {"parse one A", REPLY C(1, 0, 0) ASK A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"parse clears AA, AD, Z and CD", "1234 85f0 " C(1, 0, 0) ASK A(TTL_300),
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"parse sets RA", "1234 8500 " C(1, 0, 0) ASK A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300), 300,
     0, NULL},
    {"parse of SERVFAIL", "1234 8182 " C(0, 0, 0) ASK, "0000 8082 " C(0, 0, 0) ASK, 0, 2, NULL},
    {"parse of REFUSED with records", "1234 8185 " C(1, 0, 0) ASK A(TTL_300),
     "0000 8085 " C(1, 0, 0) ASK A(TTL_300), 0, 5, NULL},
    {"parse of YXDOMAIN with SOA", "1234 8186 " C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
     "0000 8086 " C(0, 1, 0) ASK SOA(TTL_100, TTL_100), 0, 6, NULL},
    {"parse of an extended rcode", "1234 8180 " C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000",
     "0000 8082 " C(0, 0, 0) ASK, 0, RCODE_SERVFAIL, NULL},
    {"parse of BADCOOKIE", "1234 8187 " C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000",
     "0000 8082 " C(0, 0, 0) ASK, 0, RCODE_SERVFAIL, NULL},
    {"parse spells the name as the key does",
     REPLY C(1, 0, 0) "'WWW' 'eXample' 00 0001 0001" A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300),
     300, 0, NULL},
    // Truncated: nothing is used but the fact.
    {"parse of TC", "1234 8380 " C(1, 0, 0) ASK A(TTL_300), "0000 8280 " C(0, 0, 0) ASK, 0, 0,
     NULL},
    {"parse of TC cut in a record", "1234 8380 " C(2, 0, 0) ASK A(TTL_300) "c00c 00",
     "0000 8280 " C(0, 0, 0) ASK, 0, 0, NULL},
    {"parse of TC with NXDOMAIN", "1234 8383 " C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
     "0000 8283 " C(0, 0, 0) ASK, 0, 3, NULL},
    // Times to live.
    {"TTL above the maximum", REPLY C(1, 0, 0) ASK "c00c 0001 0001 0002a300 0004 c0000201",
     KEPT C(1, 0, 0) ASK "c00c 0001 0001 00015180 0004 c0000201", 86400, 0, NULL},
    {"TTL of the greatest value", REPLY C(1, 0, 0) ASK "c00c 0001 0001 7fffffff 0004 c0000201",
     KEPT C(1, 0, 0) ASK "c00c 0001 0001 00015180 0004 c0000201", 86400, 0, NULL},
    {"TTL with its top bit set is 0", REPLY C(1, 0, 0) ASK "c00c 0001 0001 80000000 0004 c0000201",
     KEPT C(1, 0, 0) ASK A(TTL_0), 0, 0, NULL},
    {"TTL of all bits is 0", REPLY C(1, 0, 0) ASK "c00c 0001 0001 ffffffff 0004 c0000201",
     KEPT C(1, 0, 0) ASK A(TTL_0), 0, 0, NULL},
    {"TTL 0 is not cached", REPLY C(1, 0, 0) ASK A(TTL_0), KEPT C(1, 0, 0) ASK A(TTL_0), 0, 0,
     NULL},
    {"TTL below the minimum", REPLY C(1, 0, 0) ASK A(TTL_5), KEPT C(1, 0, 0) ASK A(TTL_60), 60, 0,
     &narrow},
    {"TTL above a low maximum", REPLY C(1, 0, 0) ASK A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_100),
     100, 0, &narrow},
    {"lifetime is the lowest TTL of all sections",
     REPLY C(1, 1, 1) ASK A(TTL_300) "c010 0002 0001 " TTL_100 "0005 'ns' c010 "
                                     "'ns' c010 0001 0001 " TTL_60 "0004 c0000235",
     KEPT C(1, 1, 1) ASK A(TTL_300) "c010 0002 0001 " TTL_100 "0005 'ns' c010 "
                                    "c039 0001 0001 " TTL_60 "0004 c0000235",
     60, 0, NULL},
    // RFC 2181 5.2.
    {"RRset gets its lowest TTL", REPLY C(2, 0, 0) ASK A(TTL_300) A2(TTL_100),
     KEPT C(2, 0, 0) ASK A(TTL_100) A2(TTL_100), 100, 0, NULL},
    {"RRset gets its lowest TTL, the first", REPLY C(3, 0, 0) ASK A(TTL_60) A2(TTL_300) A(TTL_100),
     KEPT C(3, 0, 0) ASK A(TTL_60) A2(TTL_60) A(TTL_60), 60, 0, NULL},
    {"RRset in different case",
     REPLY C(2, 0, 0) ASK A(TTL_300) "'Www' 'EXAMPLE' 00 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(2, 0, 0) ASK A(TTL_100) A2(TTL_100), 100, 0, NULL},
    {"other types keep theirs", REPLY C(2, 0, 0) ASK_ANY A(TTL_300) AAAA(TTL_100),
     KEPT C(2, 0, 0) ASK_ANY A(TTL_300) AAAA(TTL_100), 100, 0, NULL},
    {"other owners keep theirs",
     REPLY C(1, 2, 0) ASK A(TTL_300) "c010 0002 0001 " TTL_100 "0001 00 "
                                     "00 0002 0001 " TTL_300 "0001 00",
     KEPT C(1, 2, 0) ASK A(TTL_300) "c010 0002 0001 " TTL_100 "0001 00 "
                                    "00 0002 0001 " TTL_300 "0001 00",
     100, 0, NULL},
    {"signatures of two types keep theirs",
     REPLY C(2, 0, 0) ASK_ANY RRSIG("0001", TTL_300) RRSIG("001c", TTL_100),
     KEPT C(2, 0, 0) ASK_ANY RRSIG("0001", TTL_300) RRSIG("001c", TTL_100), 100, 0, NULL},
    {"signatures of one type are a set",
     REPLY C(2, 0, 0) ASK_ANY RRSIG("0001", TTL_300) RRSIG("0001", TTL_100),
     KEPT C(2, 0, 0) ASK_ANY RRSIG("0001", TTL_100) RRSIG("0001", TTL_100), 100, 0, NULL},
    {"signature and what it covers keep theirs",
     REPLY C(2, 0, 0) ASK A(TTL_300) RRSIG("0001", TTL_100),
     KEPT C(2, 0, 0) ASK A(TTL_300) RRSIG("0001", TTL_100), 100, 0, NULL},
    // RFC 2308.
    {"NXDOMAIN with the SOA's TTL", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_100, TTL_300),
     "0000 8083 " C(0, 1, 0) ASK SOA(TTL_100, TTL_300), 100, 3, NULL},
    {"NXDOMAIN with the SOA's MINIMUM", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
     "0000 8083 " C(0, 1, 0) ASK SOA(TTL_100, TTL_100), 100, 3, NULL},
    {"NXDOMAIN above the limit", "1234 8183 " C(0, 1, 0) ASK SOA("00002710 ", "00002710"),
     "0000 8083 " C(0, 1, 0) ASK SOA("00000e10 ", "00002710"), 3600, 3, NULL},
    {"NXDOMAIN above a low limit", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_300, TTL_300),
     "0000 8083 " C(0, 1, 0) ASK SOA("00000050 ", TTL_300), 80, 3, &narrow},
    {"NXDOMAIN below the minimum", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_5, TTL_300),
     "0000 8083 " C(0, 1, 0) ASK SOA(TTL_60, TTL_300), 60, 3, &narrow},
    {"NXDOMAIN with MINIMUM 0", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_300, TTL_0),
     "0000 8083 " C(0, 1, 0) ASK SOA(TTL_0, TTL_0), 0, 3, NULL},
    {"NXDOMAIN without SOA", "1234 8183 " C(0, 0, 0) ASK, "0000 8083 " C(0, 0, 0) ASK, 0, 3, NULL},
    {"NXDOMAIN with its SOA in the answer section",
     "1234 8183 " C(1, 0, 0) ASK SOA(TTL_300, TTL_100), "0000 8083 " C(0, 0, 0) ASK, 0, 3, NULL},
    {"NXDOMAIN with its SOA in the additional section",
     "1234 8183 " C(0, 0, 1) ASK SOA(TTL_300, TTL_100), "0000 8083 " C(0, 0, 0) ASK, 0, 3, NULL},
    {"NXDOMAIN with a CNAME and without SOA",
     "1234 8183 " C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010",
     "0000 8083 " C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010", 0, 3, NULL},
    {"NXDOMAIN with a CNAME and an SOA",
     "1234 8183 " C(1, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" SOA(TTL_300, TTL_60),
     "0000 8083 " C(1, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" SOA(TTL_60, TTL_60), 60,
     3, NULL},
    {"no data with SOA", REPLY C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
     KEPT C(0, 1, 0) ASK SOA(TTL_100, TTL_100), 100, 0, NULL},
    {"no data without SOA", REPLY C(0, 0, 0) ASK, KEPT C(0, 0, 0) ASK, 0, 0, NULL},
    {"referral, neither data nor SOA",
     REPLY C(0, 1, 0) ASK "c010 0002 0001 " TTL_300 "0005 'ns' c010",
     KEPT C(0, 1, 0) ASK "c010 0002 0001 " TTL_300 "0005 'ns' c010", 0, 0, NULL},
    {"CNAME to no data takes the SOA into account",
     REPLY C(1, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" SOA(TTL_300, TTL_60),
     KEPT C(1, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" SOA(TTL_60, TTL_60), 60, 0,
     NULL},
    {"CNAME to no data that lives less long than the SOA",
     REPLY C(1, 1, 0) ASK "c00c 0005 0001 " TTL_5 "0004 'x' c010" SOA(TTL_300, TTL_60),
     KEPT C(1, 1, 0) ASK "c00c 0005 0001 " TTL_5 "0004 'x' c010" SOA(TTL_60, TTL_60), 5, 0, NULL},
    {"CNAME to no data without SOA", REPLY C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010",
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010", 0, 0, NULL},
    {"CNAME to no data without SOA, with what was asked for in another section",
     REPLY C(1, 0, 1) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" A(TTL_300),
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010", 0, 0, NULL},
    {"CNAME and another type than the one asked for",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" AAAA(TTL_300),
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010", 0, 0, NULL},
    {"CNAME and behind it what was asked for",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                          "c029 0001 0001 " TTL_100 "0004 c0000201",
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                         "c029 0001 0001 " TTL_100 "0004 c0000201",
     100, 0, NULL},
    {"CNAME that was asked for itself",
     REPLY C(1, 0, 0) ASK_CNAME "c00c 0005 0001 " TTL_300 "0004 'x' c010",
     KEPT C(1, 0, 0) ASK_CNAME "c00c 0005 0001 " TTL_300 "0004 'x' c010", 300, 0, NULL},
    {"CNAME as the answer to ANY",
     REPLY C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0004 'x' c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0004 'x' c010", 300, 0, NULL},
    {"ANY without any record", REPLY C(0, 0, 0) ASK_ANY, KEPT C(0, 0, 0) ASK_ANY, 0, 0, NULL},
    {"SOA too short to have a MINIMUM",
     "1234 8183 " C(0, 1, 0) ASK "c010 0006 0001 " TTL_300 "0012 00 00 "
                                 "00000000 00000000 00000000 00000000",
     NULL, 0, 0, NULL},
    // What is left out.
    {"OPT is left out", REPLY C(1, 0, 1) ASK A(TTL_300) OPT, KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0,
     NULL},
    {"OPT with options is left out",
     REPLY C(1, 0, 1) ASK A(TTL_300) "00 0029 04d0 00 00 0000 0006 000f 0002 0003",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"OPT not at the root", REPLY C(1, 0, 1) ASK A(TTL_300) "c00c 0029 04d0 00 00 0000 0000", NULL,
     0, 0, NULL},
    {"OPT in the answer section", REPLY C(2, 0, 0) ASK A(TTL_300) OPT, NULL, 0, 0, NULL},
    {"OPT in the authority section", REPLY C(1, 1, 0) ASK A(TTL_300) OPT, NULL, 0, 0, NULL},
    {"two OPT", REPLY C(1, 0, 2) ASK A(TTL_300) OPT OPT, NULL, 0, 0, NULL},
    {"TSIG in the answer section",
     REPLY C(2, 0, 0) ASK A(TTL_300) "'key' 00 00fa 00ff 00000000 0000", NULL, 0, 0, NULL},
    {"SIG(0) is left out",
     REPLY C(1, 0, 1) ASK A(TTL_300) "00 0018 00ff 00000000 0013 "
                                     "0000 0800 00000000 00000002 00000001 0001 00",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"another class", REPLY C(2, 0, 0) ASK A(TTL_300) "c00c 0001 0003 " TTL_100 "0004 c0000202",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"another class alone", REPLY C(1, 0, 0) ASK "c00c 0001 0003 " TTL_100 "0004 c0000202",
     KEPT C(0, 0, 0) ASK, 0, 0, NULL},
    {"another class in the additional section",
     REPLY C(1, 0, 1) ASK A(TTL_300) "'x' 00 0001 00ff " TTL_100 "0004 c0000202",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"data that do not fit and were not asked for",
     REPLY C(1, 0, 1) ASK A(TTL_300) "'x' 00 0001 0001 " TTL_100 "0003 c00002", NULL, 0, 0, NULL},
    {"TSIG is left out",
     REPLY C(1, 0, 2) ASK A(TTL_300) "'key' 00 00fa 00ff 00000000 0003 010203" OPT,
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"TSIG's TTL does not count",
     REPLY C(1, 0, 1) ASK A(TTL_300) "'key' 00 00fa 00ff 00000000 0000",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    // Names, decompressed and compressed (RFC 3597 4).
    {"owner written out is compressed",
     REPLY C(1, 0, 0) ASK NAME "0001 0001 " TTL_300 "0004 c0000201", KEPT C(1, 0, 0) ASK A(TTL_300),
     300, 0, NULL},
    {"owner that is the root", REPLY C(1, 1, 0) ASK A(TTL_300) "00 0002 0001 " TTL_300 "0001 00",
     KEPT C(1, 1, 0) ASK A(TTL_300) "00 0002 0001 " TTL_300 "0001 00", 300, 0, NULL},
    {"CNAME to the root", REPLY C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0001 00",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0001 00", 300, 0, NULL},
    {"CNAME keeps its case where it is new",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "000b 'X' 'Example' 00 "
                          "'x' 'example' 00 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'X' c010 "
                         "c029 0001 0001 " TTL_300 "0004 c0000201",
     300, 0, NULL},
    {"MX is compressed",
     REPLY C(1, 0, 0) ASK_ANY "c00c 000f 0001 " TTL_300 "000e 000a 'mx' 'example' 00",
     KEPT C(1, 0, 0) ASK_ANY "c00c 000f 0001 " TTL_300 "0007 000a 'mx' c010", 300, 0, NULL},
    {"SOA's two names are compressed",
     REPLY C(0, 1, 0) ASK "'example' 00 0006 0001 " TTL_100 "002b 'ns' 'example' 00 "
                          "'a' 'example' 00 00000001 00000002 00000003 00000004 " TTL_300,
     KEPT C(0, 1, 0) ASK SOA(TTL_100, TTL_300), 100, 0, NULL},
    {"MINFO's two names are compressed",
     REPLY C(1, 0, 0) ASK_ANY "c00c 000e 0001 " TTL_300 "0016 'r' 'example' 00 'e' 'example' 00",
     KEPT C(1, 0, 0) ASK_ANY "c00c 000e 0001 " TTL_300 "0008 'r' c010 'e' c010", 300, 0, NULL},
    {"PTR to the question's own name",
     REPLY C(1, 0, 0) ASK_ANY "c00c 000c 0001 " TTL_300 "000d 'WWW' 'example' 00",
     KEPT C(1, 0, 0) ASK_ANY "c00c 000c 0001 " TTL_300 "0002 c00c", 300, 0, NULL},
    {"SRV is decompressed and stays so",
     REPLY C(1, 0, 0) ASK_ANY "c00c 0021 0001 " TTL_300 "000a 0001 0002 0035 'a' c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0021 0001 " TTL_300 "0011 0001 0002 0035 'a' 'example' 00", 300,
     0, NULL},
    {"SRV whose target is nothing but a pointer back",
     REPLY C(2, 0, 0) ASK_ANY A(TTL_300) "c00c 0021 0001 " TTL_300 "0008 0001 0002 0035 c00c",
     KEPT C(2, 0, 0) ASK_ANY A(TTL_300) "c00c 0021 0001 " TTL_300 "0013 0001 0002 0035 " NAME, 300,
     0, NULL},
    {"name written out in an SRV is no target of pointers",
     REPLY C(1, 0, 1) ASK_ANY "c00c 0021 0001 " TTL_300 "000b 0001 0002 0035 'new' 00 "
                              "'new' 00 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(1, 0, 1) ASK_ANY "c00c 0021 0001 " TTL_300 "000b 0001 0002 0035 'new' 00 "
                             "'new' 00 0001 0001 " TTL_300 "0004 c0000201",
     300, 0, NULL},
    {"NAPTR's strings and name",
     REPLY C(1, 0, 0) ASK_ANY "c00c 0023 0001 " TTL_300 "0012 0001 0002 's' 'SIP' 00 '_sip' c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0023 0001 " TTL_300
                             "0019 0001 0002 's' 'SIP' 00 '_sip' 'example' 00",
     300, 0, NULL},
    {"RP's two names", REPLY C(1, 0, 0) ASK_ANY "c00c 0011 0001 " TTL_300 "0006 'm' c010 c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0011 0001 " TTL_300 "0014 'm' 'example' 00 'example' 00", 300, 0,
     NULL},
    {"PX's two names", REPLY C(1, 0, 0) ASK_ANY "c00c 001a 0001 " TTL_300 "0006 0001 c010 c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 001a 0001 " TTL_300 "0014 0001 'example' 00 'example' 00", 300,
     0, NULL},
    {"SIG's signer",
     REPLY C(1, 0, 0) ASK_ANY "c00c 0018 0001 " TTL_300
                              "0016 0001 0800 0000012c 00000002 00000001 0001 c010 dead",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0018 0001 " TTL_300
                             "001d 0001 0800 0000012c 00000002 00000001 0001 'example' 00 dead",
     300, 0, NULL},
    {"NXT's name and bits", REPLY C(1, 0, 0) ASK_ANY "c00c 001e 0001 " TTL_300 "0004 c010 6001",
     KEPT C(1, 0, 0) ASK_ANY "c00c 001e 0001 " TTL_300 "000b 'example' 00 6001", 300, 0, NULL},
    {"DNAME is not compressed", REPLY C(1, 0, 0) ASK_ANY "c00c 0027 0001 " TTL_300 "0004 'b' c010",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0027 0001 " TTL_300 "000b 'b' 'example' 00", 300, 0, NULL},
    {"TXT is opaque", REPLY C(1, 0, 0) ASK_ANY "c00c 0010 0001 " TTL_300 "0005 02 c00c 01 c0",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0010 0001 " TTL_300 "0005 02 c00c 01 c0", 300, 0, NULL},
    {"HTTPS is opaque", REPLY C(1, 0, 0) ASK_ANY "c00c 0041 0001 " TTL_300 "0005 0001 c00c ff",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0041 0001 " TTL_300 "0005 0001 c00c ff", 300, 0, NULL},
    {"NSEC is opaque", REPLY C(1, 0, 0) ASK_ANY "c00c 002f 0001 " TTL_300 "0004 ffff c00c",
     KEPT C(1, 0, 0) ASK_ANY "c00c 002f 0001 " TTL_300 "0004 ffff c00c", 300, 0, NULL},
    {"unknown type is opaque", REPLY C(1, 0, 0) ASK_ANY "c00c ff00 0001 " TTL_300 "0004 c00c c0ff",
     KEPT C(1, 0, 0) ASK_ANY "c00c ff00 0001 " TTL_300 "0004 c00c c0ff", 300, 0, NULL},
    {"empty data", REPLY C(1, 0, 0) ASK_ANY "c00c 000a 0001 " TTL_300 "0000",
     KEPT C(1, 0, 0) ASK_ANY "c00c 000a 0001 " TTL_300 "0000", 300, 0, NULL},
    {"name of 255 octets",
     REPLY C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "00ff " L63 L63 L63 L61 "00",
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "00ff " L63 L63 L63 L61 "00", 0, 0, NULL},
    {"name of 255 octets through a pointer",
     REPLY C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "00f8 " L63 L63 L63
                          "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza' c010",
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "00f8 " L63 L63 L63
                         "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza' c010",
     0, 0, NULL},
    // What stands in the chain of the question, in its order (RFC 1034 3.6.2).
    {"record of another name",
     REPLY C(2, 0, 0) ASK A(TTL_300) "c010 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"record of another name alone", REPLY C(1, 0, 0) ASK "c010 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(0, 0, 0) ASK, 0, 0, NULL},
    {"record of another type", REPLY C(2, 0, 0) ASK A(TTL_300) AAAA(TTL_100),
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"CNAME behind what it leads to",
     REPLY C(2, 0, 0) ASK "'x' c010 0001 0001 " TTL_100 "0004 c0000201 "
                          "c00c 0005 0001 " TTL_300 "0002 c01d",
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                         "c029 0001 0001 " TTL_100 "0004 c0000201",
     100, 0, NULL},
    {"two CNAMEs the other way round",
     REPLY C(3, 0, 0) ASK "'x' c010 0005 0001 " TTL_100 "0003 'y' 00 "
                          "'y' 00 0001 0001 " TTL_60 "0004 c0000201 "
                          "c00c 0005 0001 " TTL_300 "0002 c01d",
     KEPT C(3, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                         "c029 0005 0001 " TTL_100 "0003 'y' 00 "
                         "c039 0001 0001 " TTL_60 "0004 c0000201",
     60, 0, NULL},
    {"CNAME of another name",
     REPLY C(2, 0, 0) ASK A(TTL_300) "c010 0005 0001 " TTL_100 "0003 'x' 00",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"second CNAME of a name",
     REPLY C(3, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                          "c00c 0005 0001 " TTL_300 "0004 'y' c010"
                          "c029 0001 0001 " TTL_100 "0004 c0000201",
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                         "c029 0001 0001 " TTL_100 "0004 c0000201",
     100, 0, NULL},
    {"CNAMEs in a circle",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                          "c029 0005 0001 " TTL_300 "0002 c00c",
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                         "c029 0005 0001 " TTL_300 "0002 c00c",
     0, 0, NULL},
    {"CNAME to itself", REPLY C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0002 c00c",
     KEPT C(1, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0002 c00c", 0, 0, NULL},
    {"CNAME that is not the type asked for stays, its target's records do not, where it is",
     REPLY C(2, 0, 0) ASK_CNAME "c00c 0005 0001 " TTL_300 "0004 'x' c010"
                                "c029 0005 0001 " TTL_100 "0003 'y' 00",
     KEPT C(1, 0, 0) ASK_CNAME "c00c 0005 0001 " TTL_300 "0004 'x' c010", 300, 0, NULL},
    {"DNAME and the CNAME that was made of it",
     REPLY C(3, 0, 0) ASK "c010 0027 0001 " TTL_300 "0003 'z' 00 "
                          "c00c 0005 0001 " TTL_300 "0007 'www' 'z' 00 "
                          "c038 0001 0001 " TTL_100 "0004 c0000201",
     KEPT C(3, 0, 0) ASK "c010 0027 0001 " TTL_300 "0003 'z' 00 "
                         "c00c 0005 0001 " TTL_300 "0007 'www' 'z' 00 "
                         "c038 0001 0001 " TTL_100 "0004 c0000201",
     100, 0, NULL},
    {"DNAME of another name",
     REPLY C(2, 0, 0) ASK A(TTL_300) "'z' 00 0027 0001 " TTL_300 "0003 'y' 00",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"signatures of what is there",
     REPLY C(3, 0, 0) ASK RRSIG("0001", TTL_300) A(TTL_300) RRSIG("001c", TTL_100),
     KEPT C(2, 0, 0) ASK RRSIG("0001", TTL_300) A(TTL_300), 300, 0, NULL},
    {"answer to ANY has all of the name and nothing else",
     REPLY C(3, 0, 0) ASK_ANY A(TTL_300) AAAA(TTL_300) "c010 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(2, 0, 0) ASK_ANY A(TTL_300) AAAA(TTL_300), 300, 0, NULL},
    // The other sections.
    {"NS of a zone that the name does not lie in",
     REPLY C(1, 1, 0) ASK A(TTL_300) "'z' 00 0002 0001 " TTL_100 "0001 00",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"NS of a zone that the CNAME leads into",
     REPLY C(2, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0005 'x' 'z' 00 "
                          "c029 0001 0001 " TTL_300 "0004 c0000201"
                          "c02b 0002 0001 " TTL_100 "0001 00",
     KEPT C(2, 1, 0) ASK "c00c 0005 0001 " TTL_300 "0005 'x' 'z' 00 "
                         "c029 0001 0001 " TTL_300 "0004 c0000201"
                         "c02b 0002 0001 " TTL_100 "0001 00",
     100, 0, NULL},
    {"address in the authority section", REPLY C(1, 1, 0) ASK A(TTL_300) A2(TTL_100),
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"additional address of a name that is not spoken of",
     REPLY C(1, 0, 2) ASK A(TTL_300) "'x' 00 0001 0001 " TTL_100 "0004 c0000202" AAAA(TTL_100),
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"additional address of a mail server",
     REPLY C(1, 0, 2) ASK_ANY "c00c 000f 0001 " TTL_300 "0005 000a 'x' 00 "
                              "c02b 0001 0001 " TTL_100 "0004 c0000202"
                              "c02b 000c 0001 " TTL_100 "0001 00",
     KEPT C(1, 0, 1) ASK_ANY "c00c 000f 0001 " TTL_300 "0005 000a 'x' 00 "
                             "c02b 0001 0001 " TTL_100 "0004 c0000202",
     100, 0, NULL},
    {"additional address of a service that is its own target",
     REPLY C(1, 0, 1) ASK_ANY "c00c 0041 0001 " TTL_300 "0003 0001 00" A(TTL_100),
     KEPT C(1, 0, 1) ASK_ANY "c00c 0041 0001 " TTL_300 "0003 0001 00" A(TTL_100), 100, 0, NULL},
    {"additional of an additional (RFC 6763 12.1)",
     REPLY C(1, 0, 2) ASK_ANY "c00c 000c 0001 " TTL_300 "0003 's' 00 "
                              "c029 0021 0001 " TTL_300 "0009 0001 0002 0035 'h' 00 "
                              "'h' 00 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(1, 0, 2) ASK_ANY "c00c 000c 0001 " TTL_300 "0003 's' 00 "
                             "c029 0021 0001 " TTL_300 "0009 0001 0002 0035 'h' 00 "
                             "'h' 00 0001 0001 " TTL_100 "0004 c0000202",
     100, 0, NULL},
    // Hostile and broken.
    {"owner that points to itself", REPLY C(1, 0, 0) ASK "c01d 0001 0001 " TTL_300 "0000", NULL, 0,
     0, NULL},
    {"owner that points forward", REPLY C(1, 0, 0) ASK "c01f 00 00 0001 0001 " TTL_300 "0000", NULL,
     0, 0, NULL},
    {"owner whose pointers go round", REPLY C(1, 0, 0) ASK "'a' c01d 0001 0001 " TTL_300 "0000",
     NULL, 0, 0, NULL},
    {"two pointers that lead to each other",
     REPLY C(2, 0, 0) ASK "c00c ff00 0001 " TTL_300 "0002 c02b c029 0001 0001 " TTL_300 "0000",
     NULL, 0, 0, NULL},
    {"name that points into the header",
     REPLY C(1, 0, 0) ASK_ANY "c00c 000c 0001 " TTL_300 "0004 'a' c004", NULL, 0, 0, NULL},
    {"owner that points into the header",
     REPLY C(1, 0, 0) ASK_ANY "c004 000c 0001 " TTL_300 "0003 'a' 00", NULL, 0, 0, NULL},
    {"owner that points into data with a pointer back is a name",
     REPLY C(2, 0, 0) ASK_ANY "c00c ff00 0001 " TTL_300 "0002 c00c "
                              "c029 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(2, 0, 0) ASK_ANY "c00c ff00 0001 " TTL_300 "0002 c00c" A(TTL_300), 300, 0, NULL},
    {"owner that points behind the message", REPLY C(1, 0, 0) ASK "ffff 0001 0001 " TTL_300 "0000",
     NULL, 0, 0, NULL},
    {"owner of 256 octets",
     REPLY C(1, 0, 0) ASK L63 L63 L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab' "
                                      "c010 0001 0001 " TTL_300 "0004 c0000201",
     NULL, 0, 0, NULL},
    {"owner with label type 01", REPLY C(1, 0, 0) ASK "41 00 00 0001 0001 " TTL_300 "0000", NULL, 0,
     0, NULL},
    {"count too high by one", REPLY C(2, 0, 0) ASK A(TTL_300), NULL, 0, 0, NULL},
    {"count of additional too high", REPLY C(1, 0, 1) ASK A(TTL_300), NULL, 0, 0, NULL},
    {"count of 65535", REPLY "0001 ffff 0000 0000 " ASK A(TTL_300), NULL, 0, 0, NULL},
    {"record cut in its head", REPLY C(1, 0, 0) ASK "c00c 0001 0001 0000", NULL, 0, 0, NULL},
    {"record cut in its data", REPLY C(1, 0, 0) ASK "c00c 0001 0001 " TTL_300 "0004 c00002", NULL,
     0, 0, NULL},
    {"data of 65535 octets", REPLY C(1, 0, 0) ASK "c00c 0001 0001 " TTL_300 "ffff c0000201", NULL,
     0, 0, NULL},
    {"NS without data", REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0000", NULL, 0, 0, NULL},
    {"NS that ends inside its name",
     REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0003 'ns' c010", NULL, 0, 0, NULL},
    {"NS that ends inside a label", REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0002 'ns' 00",
     NULL, 0, 0, NULL},
    {"NS that ends inside a pointer", REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0001 c010",
     NULL, 0, 0, NULL},
    {"NS whose data points to itself", REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0002 c029",
     NULL, 0, 0, NULL},
    {"NS whose data points forward", REPLY C(1, 0, 0) ASK "c00c 0002 0001 " TTL_300 "0002 c02b 00",
     NULL, 0, 0, NULL},
    {"MX of one octet", REPLY C(1, 0, 0) ASK "c00c 000f 0001 " TTL_300 "0001 00", NULL, 0, 0, NULL},
    {"MX without a name", REPLY C(1, 0, 0) ASK "c00c 000f 0001 " TTL_300 "0002 000a", NULL, 0, 0,
     NULL},
    {"SRV of five octets", REPLY C(1, 0, 0) ASK "c00c 0021 0001 " TTL_300 "0005 0001 0002 00", NULL,
     0, 0, NULL},
    {"NAPTR whose string is longer than it",
     REPLY C(1, 0, 0) ASK "c00c 0023 0001 " TTL_300 "0007 0001 0002 01 ff 05", NULL, 0, 0, NULL},
    {"SOA with one name", REPLY C(0, 1, 0) ASK "c010 0006 0001 " TTL_300 "0001 00", NULL, 0, 0,
     NULL},
};

static void assert_value(const struct answer *answer, const char *kept)
{
    struct answer_trailer trailer;
    assert_in_range(answer->len, 12 + sizeof trailer, ANSWER_SIZE_MAX);
    memcpy(&trailer, answer->value + answer->len - sizeof trailer, sizeof trailer);
    assert_packet(answer->value, trailer.message_len, kept);
    assert_int_equal(answer->len, trailer.message_len + 2 * trailer.ttl_count + sizeof trailer);
}

static void test_parse_row(void **state)
{
    const struct parse_row *row = *state;
    struct packet packet = packet_of(row->reply);
    uint8_t *reply = exact_copy(packet.bytes, packet.len);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX), .lifetime_s = 4711};
    struct key key;
    key_of_reply(&key, &packet);
    struct name_case name_case;
    name_case_read(&name_case, reply + MESSAGE_HEADER_LEN, key_name_len(&key));
    assert_int_equal(reply_match(reply, packet.len, 0x1234, &key, &name_case), REPLY_GOOD);
    enum reply_verdict verdict =
        answer_parse(&answer, reply, packet.len, &key, row->limits ? row->limits : &usual);
    assert_int_equal(verdict, row->kept ? REPLY_GOOD : REPLY_MALFORMED);
    if (row->kept) {
        assert_value(&answer, row->kept);
        assert_int_equal(answer.lifetime_s, row->lifetime_s);
        assert_int_equal(answer.rcode, row->rcode);
        assert_int_equal(answer.truncated, (reply[2] & HEADER_TC) != 0);
        bool aliased = load_be16(reply + 6) > 0;
        assert_int_equal(answer.denies,
                         row->rcode == RCODE_NXDOMAIN && !aliased && !answer.truncated);
    }
    free(answer.value);
    free(reply);
}

static void test_parse_of_a_reply_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct key key;
    for (size_t i = 0; i < COUNT_OF(parse_rows); i++) {
        struct packet packet = packet_of(parse_rows[i].reply);
        if (!parse_rows[i].kept || packet.bytes[2] & HEADER_TC)
            continue;
        key_of_reply(&key, &packet);
        for (size_t len = 29; len < packet.len; len++) {
            uint8_t *reply = exact_copy(packet.bytes, len);
            if (answer_parse(&answer, reply, len, &key, &usual) != REPLY_MALFORMED)
                fail_msg("%s: taken when cut to %zu octets", parse_rows[i].name, len);
            free(reply);
        }
    }
    free(answer.value);
}

static void test_parse_ignores_octets_behind_the_last_record(void **state)
{
    static const struct parse_row row = {
        "", REPLY C(1, 0, 0) ASK A(TTL_300) A(TTL_5), KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL};
    *state = NULL;
    struct packet packet = packet_of(row.reply);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct key key;
    key_of(&key, ASK);
    assert_int_equal(answer_parse(&answer, packet.bytes, packet.len, &key, &usual), REPLY_GOOD);
    assert_value(&answer, row.kept);
    assert_int_equal(answer.lifetime_s, row.lifetime_s);
    free(answer.value);
}

// Whatever an upstream sends: it is refused, or the stored answer can be given to any client.
static void test_parse_of_replies_changed_at_random_never_misbehaves(void **state)
{
    (void)state;
    uint64_t seed = 2;
    unsigned taken = 0, refused = 0;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("5678 0100 0001 0000 0000 0001 " ASK OPT);
    static const struct name_case lower;
    struct query query;
    struct key key;
    for (unsigned i = 0; i < 100000; i++) {
        struct packet packet = packet_of(parse_rows[i % COUNT_OF(parse_rows)].reply);
        key_of_reply(&key, &packet);
        store_be16(asked.bytes + MESSAGE_HEADER_LEN + 13, key_type(&key));
        assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
        for (unsigned k = test_random(&seed) % 4; k > 0; k--)
            packet.bytes[2 + test_random(&seed) % (packet.len - 2)] = (uint8_t)test_random(&seed);
        uint8_t *reply = exact_copy(packet.bytes, packet.len);
        if (reply_match(reply, packet.len, 0x1234, &key, &lower) == REPLY_GOOD &&
            answer_parse(&answer, reply, packet.len, &key, &usual) == REPLY_GOOD) {
            taken++;
            size_t room = answer.len < 1542 ? 1542 : answer.len;
            uint8_t *out = malloc(room);
            assert_non_null(out);
            memcpy(out, answer.value, answer.len);
            struct answer_giving giving = {.age_s = (uint32_t)test_random(&seed),
                                           .stale = test_random(&seed) % 2};
            size_t len = answer_give(out, room, answer.len, &query, &giving, &usual);
            assert_in_range(len, 29, 1232);
            assert_int_equal(reply_match(out, len, 0x5678, &key, &lower), REPLY_GOOD);
            // Our own words must be good enough for ourselves.
            assert_int_equal(answer_parse(&answer, out, len, &key, &usual), REPLY_GOOD);
            free(out);
        } else {
            refused++;
        }
        free(reply);
    }
    assert_in_range(taken, 10000, 90000);
    assert_in_range(refused, 10000, 90000);
    free(answer.value);
}

static void test_parse_levels_a_large_rrset_and_counts_every_ttl(void **state)
{
    (void)state;
    struct packet head = packet_of("1234 8180 0001 0040 0000 0000 " ASK);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    uint8_t reply[2000];
    struct writer w = writer_over(reply, sizeof reply);
    struct key key;
    write_bytes(&w, head.bytes, head.len);
    for (unsigned i = 0; i < 64; i++) {
        struct packet record = packet_of(A(TTL_300));
        record.bytes[9] = (uint8_t)(100 - i);
        record.bytes[15] = (uint8_t)i;
        write_bytes(&w, record.bytes, record.len);
    }
    key_of(&key, ASK);
    assert_int_equal(answer_parse(&answer, reply, w.at, &key, &usual), REPLY_GOOD);
    assert_int_equal(answer.len, w.at + 64 * 2 + sizeof(struct answer_trailer));
    for (unsigned i = 0; i < 64; i++) {
        uint16_t place;
        memcpy(&place, answer.value + w.at + 2 * (size_t)i, 2);
        assert_int_equal(place, 29 + 16 * i + 6);
        assert_int_equal(load_be32(answer.value + place), 256 + 37);
        assert_int_equal(answer.value[29 + 16 * i + 15], i);
    }
    free(answer.value);
}

static const struct {
    const char *reply;
    uint16_t rcode_heard;
    bool edns;
    const char *options;
} opt_rows[] = {
    {REPLY C(1, 0, 0) ASK A(TTL_300), 0, false, ""},
    {REPLY C(1, 0, 1) ASK A(TTL_300) OPT, 0, true, ""},
    {"1234 8183 " C(0, 0, 1) ASK "00 0029 04d0 00 00 0000 0006 000f 0002 0003", 3, true,
     "000f 0002 0003"},
    {"1234 8187 " C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000", RCODE_BADCOOKIE, true, ""},
    {REPLY C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000", RCODE_BADVERS, true, ""},
    {REPLY C(0, 0, 1) ASK "00 0029 04d0 ff 00 0000 0000", 0xff0, true, ""},
    {"1234 8181 " C(0, 0, 0) ASK, RCODE_FORMERR, false, ""},
    // Whatever stands in what was truncated.
    {"1234 8380 " C(0, 0, 1) ASK OPT, 0, false, ""},
};

static void test_parse_returns_what_the_opt_record_says(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX), .edns = true, .options_len = 7};
    struct key key;
    key_of(&key, ASK);
    for (size_t i = 0; i < COUNT_OF(opt_rows); i++) {
        struct packet reply = packet_of(opt_rows[i].reply);
        assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
        assert_int_equal(answer.rcode_heard, opt_rows[i].rcode_heard);
        assert_int_equal(answer.edns, opt_rows[i].edns);
        if (answer.edns)
            assert_packet(answer.options, answer.options_len, opt_rows[i].options);
    }
    free(answer.value);
}

static void test_refreshed_answers_are_told_apart(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet reply = packet_of(REPLY C(1, 0, 0) ASK A(TTL_300));
    struct key key;
    key_of(&key, ASK);
    assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
    assert_false(answer_is_refreshed(answer.value, answer.len));
    answer_mark_refreshed(&answer);
    assert_true(answer_is_refreshed(answer.value, answer.len));
    assert_true(answer_check(answer.value, answer.len));
    assert_value(&answer, KEPT C(1, 0, 0) ASK A(TTL_300));
    // Nothing else may stand there.
    answer.value[answer.len - 1] |= ANSWER_TRANSPORT;
    assert_false(answer_check(answer.value, answer.len));
    free(answer.value);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_parse_of_a_reply_cut_anywhere_is_malformed),
    cmocka_unit_test(test_parse_ignores_octets_behind_the_last_record),
    cmocka_unit_test(test_parse_of_replies_changed_at_random_never_misbehaves),
    cmocka_unit_test(test_parse_levels_a_large_rrset_and_counts_every_ttl),
    cmocka_unit_test(test_parse_returns_what_the_opt_record_says),
    cmocka_unit_test(test_refreshed_answers_are_told_apart),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(match_rows) + COUNT_OF(parse_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_match_row, match_rows);
    count += ROWS(test_parse_row, parse_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
