// SPDX-License-Identifier: MIT
#include "core/answer.h"

#include "tests/unit/packet.h"

// Pieces of messages. The question www.example A is 17 octets long and ends at octet 29 (1d); the
// data of a first record with a compressed owner begins at octet 41 (29).
#define NAME       "'www' 'example' 00 "
#define ASK        NAME "0001 0001 "
#define ASK_CNAME  NAME "0005 0001 "
#define ASK_ANY    NAME "00ff 0001 " // to which every record is an answer
#define REPLY      "1234 8180 "
#define KEPT       "0000 8080 "
#define C(a, n, x) "0001 000" #a " 000" #n " 000" #x " "
#define TTL_300    "0000012c "
#define TTL_100    "00000064 "
#define TTL_60     "0000003c "
#define TTL_5      "00000005 "
#define TTL_0      "00000000 "
#define A(ttl)     "c00c 0001 0001 " ttl "0004 c0000201 "
#define A2(ttl)    "c00c 0001 0001 " ttl "0004 c0000202 "
#define AAAA(ttl)  "c00c 001c 0001 " ttl "0010 20010db8000000000000000000000001 "
// An SOA of the zone `example`, written short as a server and as ouzel would.
#define SOA(ttl, minimum) \
    "c010 0006 0001 " ttl "001d 'ns' c010 'a' c010 00000001 00000002 00000003 00000004 " minimum
#define OPT "00 0029 04d0 00 00 8000 0000 "
#define L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "
// Signatures of www.example, covering A or AAAA, with the signer `example` written out.
#define RRSIG(covered, ttl) \
    "c00c 002e 0001 " ttl "001c " covered " 0800 0000012c 00000002 00000001 0001 'example' 00 ff "

static const struct answer_limits usual = {0, 86400, 3600, 1232, false};
static const struct answer_limits narrow = {60, 100, 80, 1232, false};

static void key_of(struct key *key, const char *question)
{
    char text[1024];
    snprintf(text, sizeof text, "1234 0100 0001 0000 0000 0000 %s", question);
    struct packet packet = packet_of(text);
    struct query query;
    assert_int_not_equal(query_read(&query, packet.bytes, packet.len), QUERY_SHORT);
    assert_int_not_equal(query.name_len, 0);
    key_make(key, &query, 7);
}

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
};

static const struct match_row match_rows[] = {
    {"match of a reply", REPLY C(0, 0, 0) ASK, REPLY_GOOD},
    {"match in another case", REPLY C(0, 0, 0) "'WwW' 'EXAMPLE' 00 0001 0001", REPLY_GOOD},
    {"match with all other bits", "1234 87ff " C(0, 0, 0) ASK, REPLY_GOOD},
    {"match with octets behind", REPLY C(0, 0, 0) ASK "00", REPLY_GOOD},
    {"no octet", "", REPLY_GARBAGE},
    {"eleven octets", "1234 8180 0001 0000 0000 00", REPLY_GARBAGE},
    {"a query", "1234 0180 " C(0, 0, 0) ASK, REPLY_GARBAGE},
    {"another id", "1235 8180 " C(0, 0, 0) ASK, REPLY_QUESTION},
    {"another upper octet of the id", "0234 8180 " C(0, 0, 0) ASK, REPLY_QUESTION},
    {"opcode notify", "1234 a180 " C(0, 0, 0) ASK, REPLY_QUESTION},
    {"opcode 1", "1234 8980 " C(0, 0, 0) ASK, REPLY_QUESTION},
    {"no question", REPLY "0000 0000 0000 0000", REPLY_QUESTION},
    {"no question counted", REPLY "0000 0000 0000 0000" ASK, REPLY_QUESTION},
    {"two questions", REPLY "0002 0000 0000 0000" ASK ASK, REPLY_QUESTION},
    {"another name", REPLY C(0, 0, 0) "'wwv' 'example' 00 0001 0001", REPLY_QUESTION},
    {"a shorter name", REPLY C(0, 0, 0) "'www' 00 0001 0001", REPLY_QUESTION},
    {"a longer name", REPLY C(0, 0, 0) "'www' 'example' 'com' 00 0001 0001", REPLY_QUESTION},
    {"labels divided elsewhere", REPLY C(0, 0, 0) "04 777777 07 6578616d706c65 00 0001 0001",
     REPLY_QUESTION},
    {"an octet that differs in the bit of case", REPLY C(0, 0, 0) "'www' 'exam0le' 00 0001 0001",
     REPLY_QUESTION},
    {"another type", REPLY C(0, 0, 0) NAME "001c 0001", REPLY_QUESTION},
    {"another class", REPLY C(0, 0, 0) NAME "0001 0003", REPLY_QUESTION},
    {"question cut in its class", REPLY C(0, 0, 0) NAME "0001 00", REPLY_QUESTION},
    {"question cut in its name", REPLY C(0, 0, 0) "'www'", REPLY_QUESTION},
    {"header alone", REPLY C(0, 0, 0), REPLY_QUESTION},
};

static void test_match_row(void **state)
{
    const struct match_row *row = *state;
    struct packet packet = packet_of(row->reply);
    uint8_t *reply = exact_copy(packet.bytes, packet.len);
    struct key key;
    key_of(&key, ASK);
    assert_int_equal(reply_match(reply, packet.len, 0x1234, &key), row->verdict);
    free(reply);
}

struct take_row {
    const char *name;
    const char *reply;
    const char *kept; // the message in the value; NULL: the reply is garbage
    uint32_t lifetime_s;
    uint8_t rcode;
    const struct answer_limits *limits; // NULL: the usual
};

static const struct take_row take_rows[] = {
    // Headers.
    {"take one A", REPLY C(1, 0, 0) ASK A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"take clears AA, AD, Z and CD", "1234 85f0 " C(1, 0, 0) ASK A(TTL_300),
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"take sets RA", "1234 8500 " C(1, 0, 0) ASK A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0,
     NULL},
    {"take of SERVFAIL", "1234 8182 " C(0, 0, 0) ASK, "0000 8082 " C(0, 0, 0) ASK, 0, 2, NULL},
    {"take of REFUSED with records", "1234 8185 " C(1, 0, 0) ASK A(TTL_300),
     "0000 8085 " C(1, 0, 0) ASK A(TTL_300), 0, 5, NULL},
    {"take of YXDOMAIN with SOA", "1234 8186 " C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
     "0000 8086 " C(0, 1, 0) ASK SOA(TTL_100, TTL_100), 0, 6, NULL},
    {"take of an extended rcode", "1234 8180 " C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000",
     "0000 8082 " C(0, 0, 0) ASK, 0, RCODE_SERVFAIL, NULL},
    {"take of BADCOOKIE", "1234 8187 " C(0, 0, 1) ASK "00 0029 04d0 01 00 0000 0000",
     "0000 8082 " C(0, 0, 0) ASK, 0, RCODE_SERVFAIL, NULL},
    {"take spells the name as the key does",
     REPLY C(1, 0, 0) "'WWW' 'eXample' 00 0001 0001" A(TTL_300), KEPT C(1, 0, 0) ASK A(TTL_300),
     300, 0, NULL},
    // Truncated: nothing is used but the fact.
    {"take of TC", "1234 8380 " C(1, 0, 0) ASK A(TTL_300), "0000 8280 " C(0, 0, 0) ASK, 0, 0, NULL},
    {"take of TC cut in a record", "1234 8380 " C(2, 0, 0) ASK A(TTL_300) "c00c 00",
     "0000 8280 " C(0, 0, 0) ASK, 0, 0, NULL},
    {"take of TC with NXDOMAIN", "1234 8383 " C(0, 1, 0) ASK SOA(TTL_300, TTL_100),
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
    {"TTL 0 is not kept", REPLY C(1, 0, 0) ASK A(TTL_0), KEPT C(1, 0, 0) ASK A(TTL_0), 0, 0, NULL},
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
    {"RRset spelled differently",
     REPLY C(2, 0, 0) ASK A(TTL_300) "'Www' 'EXAMPLE' 00 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(2, 0, 0) ASK A(TTL_100) A2(TTL_100), 100, 0, NULL},
    {"other types keep theirs", REPLY C(2, 0, 0) ASK A(TTL_300) AAAA(TTL_100),
     KEPT C(2, 0, 0) ASK A(TTL_300) AAAA(TTL_100), 100, 0, NULL},
    {"other classes keep theirs",
     REPLY C(2, 0, 0) ASK A(TTL_300) "c00c 0001 0003 " TTL_100 "0004 c0000202",
     KEPT C(2, 0, 0) ASK A(TTL_300) "c00c 0001 0003 " TTL_100 "0004 c0000202", 100, 0, NULL},
    {"other owners keep theirs",
     REPLY C(2, 0, 0) ASK A(TTL_300) "c010 0001 0001 " TTL_100 "0004 c0000202",
     KEPT C(2, 0, 0) ASK A(TTL_300) "c010 0001 0001 " TTL_100 "0004 c0000202", 100, 0, NULL},
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
     "1234 8183 " C(1, 0, 0) ASK SOA(TTL_300, TTL_100),
     "0000 8083 " C(1, 0, 0) ASK SOA(TTL_300, TTL_100), 0, 3, NULL},
    {"NXDOMAIN with its SOA in the additional section",
     "1234 8183 " C(0, 0, 1) ASK SOA(TTL_300, TTL_100),
     "0000 8083 " C(0, 0, 1) ASK SOA(TTL_300, TTL_100), 0, 3, NULL},
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
     KEPT C(1, 0, 1) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" A(TTL_300), 0, 0, NULL},
    {"CNAME and another type than the one asked for",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" AAAA(TTL_300),
     KEPT C(2, 0, 0) ASK "c00c 0005 0001 " TTL_300 "0004 'x' c010" AAAA(TTL_300), 0, 0, NULL},
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
     "0000 8083 " C(0, 1, 0) ASK "c010 0006 0001 " TTL_0 "0012 00 00 "
                                 "00000000 00000000 00000000 00000000",
     0, 3, NULL},
    // What is left out.
    {"OPT is left out", REPLY C(1, 0, 1) ASK A(TTL_300) OPT, KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0,
     NULL},
    {"OPT with options is left out",
     REPLY C(1, 0, 1) ASK A(TTL_300) "00 0029 04d0 00 00 0000 0006 000f 0002 0003",
     KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL},
    {"OPT not at the root", REPLY C(1, 0, 1) ASK A(TTL_300) "c00c 0029 04d0 00 00 0000 0000", NULL,
     0, 0, NULL},
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
    {"owner that is the root", REPLY C(1, 0, 0) ASK "00 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(1, 0, 0) ASK "00 0001 0001 " TTL_300 "0004 c0000201", 300, 0, NULL},
    {"CNAME to the root", REPLY C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0001 00",
     KEPT C(1, 0, 0) ASK_ANY "c00c 0005 0001 " TTL_300 "0001 00", 300, 0, NULL},
    {"CNAME keeps its spelling where it is new",
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
     REPLY C(2, 0, 0) ASK A(TTL_300) "c00c 0021 0001 " TTL_300 "0008 0001 0002 0035 c00c",
     KEPT C(2, 0, 0) ASK A(TTL_300) "c00c 0021 0001 " TTL_300 "0013 0001 0002 0035 " NAME, 300, 0,
     NULL},
    {"name written out in an SRV is no target of pointers",
     REPLY C(2, 0, 0) ASK "c00c 0021 0001 " TTL_300 "000b 0001 0002 0035 'new' 00 "
                          "'new' 00 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(2, 0, 0) ASK "c00c 0021 0001 " TTL_300 "000b 0001 0002 0035 'new' 00 "
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
    {"DNAME is not compressed", REPLY C(1, 0, 0) ASK_ANY "c010 0027 0001 " TTL_300 "0004 'b' c010",
     KEPT C(1, 0, 0) ASK_ANY "c010 0027 0001 " TTL_300 "000b 'b' 'example' 00", 300, 0, NULL},
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
     REPLY C(1, 0, 0) ASK L63 L63 L63 L61 "00 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(1, 0, 0) ASK L63 L63 L63 L61 "00 0001 0001 " TTL_300 "0004 c0000201", 300, 0, NULL},
    {"name of 255 octets through a pointer",
     REPLY C(1, 0, 0) ASK L63 L63 L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza' "
                                      "c010 0001 0001 " TTL_300 "0004 c0000201",
     KEPT C(1, 0, 0) ASK L63 L63 L63 "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza' "
                                     "c010 0001 0001 " TTL_300 "0004 c0000201",
     300, 0, NULL},
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
    {"owner that points into data with a pointer back is a name",
     REPLY C(2, 0, 0) ASK "c00c ff00 0001 " TTL_300 "0002 c010 c029 0001 0001 " TTL_300 "0000",
     KEPT C(2, 0, 0) ASK "c00c ff00 0001 " TTL_300 "0002 c010 c010 0001 0001 " TTL_300 "0000", 300,
     0, NULL},
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

static void test_take_row(void **state)
{
    const struct take_row *row = *state;
    struct packet packet = packet_of(row->reply);
    uint8_t *reply = exact_copy(packet.bytes, packet.len);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX), .lifetime_s = 4711};
    struct key key;
    key_of_reply(&key, &packet);
    assert_int_equal(reply_match(reply, packet.len, 0x1234, &key), REPLY_GOOD);
    enum reply_verdict verdict =
        answer_take(&answer, reply, packet.len, &key, row->limits ? row->limits : &usual);
    assert_int_equal(verdict, row->kept ? REPLY_GOOD : REPLY_GARBAGE);
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

static void test_take_of_a_reply_cut_anywhere_is_garbage(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct key key;
    for (size_t i = 0; i < COUNT_OF(take_rows); i++) {
        struct packet packet = packet_of(take_rows[i].reply);
        if (!take_rows[i].kept || packet.bytes[2] & HEADER_TC)
            continue;
        key_of_reply(&key, &packet);
        for (size_t len = 29; len < packet.len; len++) {
            uint8_t *reply = exact_copy(packet.bytes, len);
            if (answer_take(&answer, reply, len, &key, &usual) != REPLY_GARBAGE)
                fail_msg("%s: taken when cut to %zu octets", take_rows[i].name, len);
            free(reply);
        }
    }
    free(answer.value);
}

static void test_take_ignores_octets_behind_the_last_record(void **state)
{
    static const struct take_row row = {
        "", REPLY C(1, 0, 0) ASK A(TTL_300) A(TTL_5), KEPT C(1, 0, 0) ASK A(TTL_300), 300, 0, NULL};
    *state = NULL;
    struct packet packet = packet_of(row.reply);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct key key;
    key_of(&key, ASK);
    assert_int_equal(answer_take(&answer, packet.bytes, packet.len, &key, &usual), REPLY_GOOD);
    assert_value(&answer, row.kept);
    assert_int_equal(answer.lifetime_s, row.lifetime_s);
    free(answer.value);
}

// Whatever an upstream sends: it is refused, or what is kept can be given back to anyone.
static void test_take_of_replies_changed_at_random_never_misbehaves(void **state)
{
    (void)state;
    uint64_t seed = 2;
    unsigned taken = 0, refused = 0;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("5678 0100 0001 0000 0000 0001 " ASK OPT);
    struct query query;
    struct key key;
    for (unsigned i = 0; i < 100000; i++) {
        struct packet packet = packet_of(take_rows[i % COUNT_OF(take_rows)].reply);
        key_of_reply(&key, &packet);
        store_be16(asked.bytes + MESSAGE_HEADER_LEN + 13, key_type(&key));
        assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
        for (unsigned k = test_random(&seed) % 4; k > 0; k--)
            packet.bytes[2 + test_random(&seed) % (packet.len - 2)] = (uint8_t)test_random(&seed);
        uint8_t *reply = exact_copy(packet.bytes, packet.len);
        if (reply_match(reply, packet.len, 0x1234, &key) == REPLY_GOOD &&
            answer_take(&answer, reply, packet.len, &key, &usual) == REPLY_GOOD) {
            taken++;
            size_t room = answer.len < 1542 ? 1542 : answer.len;
            uint8_t *out = malloc(room);
            assert_non_null(out);
            memcpy(out, answer.value, answer.len);
            uint32_t age_s = (uint32_t)test_random(&seed);
            size_t len = answer_give(out, room, answer.len, &query, age_s, 0, &usual);
            assert_in_range(len, 29, 1232);
            assert_int_equal(reply_match(out, len, 0x5678, &key), REPLY_GOOD);
            // Our own words must be good enough for ourselves.
            assert_int_equal(answer_take(&answer, out, len, &key, &usual), REPLY_GOOD);
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

struct give_row {
    const char *name;
    const char *reply; // of the upstream
    const char *query;
    uint32_t age_s;
    const char *given;
};

#define ONE     "0001 0000 0000 0000 "
#define ONE_OPT "0001 0000 0000 0001 "
#define OWN_OPT "00 0029 04d0 00 00 0000 0000 "
#define ONE_A   REPLY C(1, 0, 0) ASK A(TTL_300)
#define NONE    "1234 8183 " C(0, 1, 0) ASK SOA(TTL_100, TTL_300)

static const struct give_row give_rows[] = {
    {"give at once", ONE_A, "abcd 0100 " ONE ASK, 0, "abcd 8180 " C(1, 0, 0) ASK A(TTL_300)},
    {"give without RD", ONE_A, "abcd 0000 " ONE ASK, 0, "abcd 8080 " C(1, 0, 0) ASK A(TTL_300)},
    {"give with CD", ONE_A, "abcd 0110 " ONE ASK, 0, "abcd 8190 " C(1, 0, 0) ASK A(TTL_300)},
    {"give takes no other bit from the query", ONE_A, "abcd 05ef " ONE ASK, 0,
     "abcd 8180 " C(1, 0, 0) ASK A(TTL_300)},
    {"give in the client's spelling", ONE_A, "abcd 0100 " ONE "'wWW' 'ExamplE' 00 0001 0001", 0,
     "abcd 8180 " C(1, 0, 0) "'wWW' 'ExamplE' 00 0001 0001" A(TTL_300)},
    {"give with OPT", ONE_A, "abcd 0100 " ONE_OPT ASK "00 0029 1000 00 00 0000 0000", 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_300) OWN_OPT},
    {"give with DO", ONE_A, "abcd 0100 " ONE_OPT ASK "00 0029 1000 00 00 8000 0000", 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_300) OPT},
    {"give with OPT behind other additional records", REPLY C(1, 0, 1) ASK A(TTL_300) AAAA(TTL_300),
     "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8180 " C(1, 0, 2) ASK A(TTL_300) AAAA(TTL_300) OWN_OPT},
    {"give after 1 s", ONE_A, "abcd 0100 " ONE ASK, 1, "abcd 8180 " C(1, 0, 0) ASK A("0000012b ")},
    {"give after 299 s", ONE_A, "abcd 0100 " ONE ASK, 299,
     "abcd 8180 " C(1, 0, 0) ASK A("00000001 ")},
    {"give after 300 s", ONE_A, "abcd 0100 " ONE ASK, 300, "abcd 8180 " C(1, 0, 0) ASK A(TTL_0)},
    {"give long after", ONE_A, "abcd 0100 " ONE ASK, UINT32_MAX,
     "abcd 8180 " C(1, 0, 0) ASK A(TTL_0)},
    {"give ages each TTL by itself", REPLY C(2, 0, 0) ASK A(TTL_300) AAAA(TTL_100),
     "abcd 0100 " ONE ASK, 95, "abcd 8180 " C(2, 0, 0) ASK A("000000cd ") AAAA(TTL_5)},
    {"give NXDOMAIN", NONE, "abcd 0100 " ONE ASK, 40,
     "abcd 8183 " C(0, 1, 0) ASK SOA(TTL_60, TTL_300)},
    {"give NXDOMAIN with OPT", NONE, "abcd 0100 " ONE_OPT ASK OPT, 40,
     "abcd 8183 " C(0, 1, 1) ASK SOA(TTL_60, TTL_300) OPT},
    {"give SERVFAIL", "1234 8182 " C(0, 0, 0) ASK, "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8182 " C(0, 0, 1) ASK OWN_OPT},
    {"give what was truncated upstream", "1234 8380 " C(1, 0, 0) ASK A(TTL_300),
     "abcd 0100 " ONE_OPT ASK OPT, 0, "abcd 8380 " C(0, 0, 1) ASK OPT},
    {"give NXDOMAIN that was truncated upstream", "1234 8383 " C(0, 1, 0) ASK,
     "abcd 0100 " ONE "'wwW' 'example' 00 0001 0001", 0,
     "abcd 8383 " C(0, 0, 0) "'wwW' 'example' 00 0001 0001"},
};

// An answer is kept for one question and must not be seen by another test's limits.
static void test_give_row(void **state)
{
    const struct give_row *row = *state;
    struct packet reply = packet_of(row->reply), asked = packet_of(row->query);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct query query;
    struct key key;
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    assert_int_equal(answer_take(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
    uint8_t *out = malloc(1542);
    assert_non_null(out);
    memcpy(out, answer.value, answer.len);
    size_t len = answer_give(out, 1542, answer.len, &query, row->age_s, 0, &usual);
    assert_packet(out, len, row->given);
    free(out);
    free(answer.value);
}

// Makes a reply of exactly `len` octets with TXT records of up to 255 octets of data.
static size_t txt_reply(uint8_t *reply, size_t len)
{
    struct packet head = packet_of("1234 8180 " ONE ASK);
    struct writer w = writer_over(reply, len);
    uint16_t count = 0;
    write_bytes(&w, head.bytes, head.len);
    while (w.at < len) {
        size_t data = len - w.at - 12;
        // What is left over must hold a whole record.
        if (data > 255)
            data = data - 255 < 13 ? 200 : 255;
        struct packet record = packet_of("c00c 0010 0001 0000012c ");
        write_bytes(&w, record.bytes, record.len);
        write_u16(&w, (uint16_t)data);
        write_u8(&w, (uint8_t)(data - 1));
        memset(write_room(&w, data - 1), 'x', data - 1);
        count++;
    }
    assert_false(w.failed);
    store_be16(reply + 6, count);
    return w.at;
}

static const struct {
    uint16_t size;        // the client's, 0: no EDNS
    uint16_t payload_max; // our own limit
    size_t fits;          // the longest message without OPT that goes through whole
} truncation_rows[] = {
    {0, 1232, 512},     {512, 1232, 501},   {100, 1232, 501},   {513, 1232, 502},
    {1231, 1232, 1220}, {1232, 1232, 1221}, {4096, 1232, 1221}, {65535, 1232, 1221},
    {0, 512, 512},      {4096, 512, 501},   {4096, 4096, 4085}, {1400, 4096, 1389},
};

static void test_give_truncates_what_the_client_cannot_take(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    uint8_t reply[5000];
    for (size_t i = 0; i < COUNT_OF(truncation_rows); i++) {
        struct answer_limits limits = usual;
        limits.udp_payload_max = truncation_rows[i].payload_max;
        size_t room = limits.udp_payload_max + limits.udp_payload_max / 5u + 64;
        struct packet asked = packet_of(truncation_rows[i].size ? "abcd 0100 " ONE_OPT ASK OPT
                                                                : "abcd 0100 " ONE ASK);
        if (truncation_rows[i].size)
            store_be16(asked.bytes + 32, truncation_rows[i].size);
        for (size_t more = 0; more < 60; more++) {
            size_t wanted = truncation_rows[i].fits - 20 + more;
            size_t reply_len = txt_reply(reply, wanted);
            assert_int_equal(reply_len, wanted);
            struct query query;
            struct key key;
            assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
            key_make(&key, &query, 7);
            assert_int_equal(answer_take(&answer, reply, reply_len, &key, &limits), REPLY_GOOD);
            uint8_t *out = malloc(room);
            assert_non_null(out);
            memcpy(out, answer.value, answer.len < room ? answer.len : room);
            size_t len = answer_give(out, room, answer.len, &query, 0, 0, &limits);
            size_t opt_len = truncation_rows[i].size ? OPT_LEN : 0;
            bool whole = more <= 20;
            if (len != (whole ? wanted : 29) + opt_len)
                fail_msg("row %zu: %zu octets became %zu", i, wanted, len);
            assert_int_equal(out[2] & HEADER_TC, whole ? 0 : HEADER_TC);
            assert_int_equal(load_be16(out + 6) != 0, whole);
            free(out);
        }
    }
    free(answer.value);
}

// The answer was longer than the buffer it was copied to, as 64 KiB from the cache would be.
static void test_give_of_a_value_longer_than_its_room_is_truncated(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("abcd 0110 " ONE_OPT ASK OPT);
    struct query query;
    struct key key;
    uint8_t reply[60000];
    size_t reply_len = txt_reply(reply, sizeof reply);
    reply[3] |= RCODE_NXDOMAIN;
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    assert_int_equal(answer_take(&answer, reply, reply_len, &key, &usual), REPLY_GOOD);
    uint8_t *out = exact_copy(answer.value, 1542);
    size_t len = answer_give(out, 1542, answer.len, &query, 0, 0, &usual);
    assert_packet(out, len, "abcd 8393 " C(0, 0, 1) ASK OPT);
    free(out);
    free(answer.value);
}

static void test_take_levels_a_large_rrset_and_counts_every_ttl(void **state)
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
    assert_int_equal(answer_take(&answer, reply, w.at, &key, &usual), REPLY_GOOD);
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

// Three addresses behind a CNAME, and one of another owner that stays where it is.
static void test_give_rotates_the_addresses_asked_for(void **state)
{
    (void)state;
    static const char *const orders[] = {"01 02 03", "02 03 01", "03 01 02", "01 02 03"};
    struct answer_limits limits = usual;
    limits.rotate = true;
    struct packet query_packet = packet_of("abcd 0100 " C(0, 0, 0) ASK);
    struct packet head = packet_of("1234 8180 0001 0003 0000 0001 " ASK);
    struct packet extra = packet_of(A(TTL_300));
    struct query query;
    struct key key;
    uint8_t reply[200], *value = malloc(ANSWER_SIZE_MAX);
    struct writer w = writer_over(reply, sizeof reply);
    write_bytes(&w, head.bytes, head.len);
    for (unsigned i = 1; i <= 3; i++) {
        struct packet record = packet_of(A(TTL_300));
        record.bytes[15] = (uint8_t)i;
        write_bytes(&w, record.bytes, record.len);
    }
    extra.bytes[15] = 9;
    write_bytes(&w, extra.bytes, extra.len);
    assert_int_equal(query_read(&query, query_packet.bytes, query_packet.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    struct answer answer = {.value = value};
    assert_int_equal(answer_take(&answer, reply, w.at, &key, &limits), REPLY_GOOD);
    assert_true(answer_check(answer.value, answer.len));
    for (uint32_t turn = 0; turn < COUNT_OF(orders); turn++) {
        uint8_t *out = exact_copy(answer.value, 1542);
        size_t len = answer_give(out, 1542, answer.len, &query, 0, turn, &limits);
        struct packet order = packet_of(orders[turn]);
        assert_int_equal(len, w.at);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(out[29 + 16 * i + 15], order.bytes[i]);
        assert_int_equal(out[29 + 16 * 3 + 15], 9);
        free(out);
    }
    free(value);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_give_rotates_the_addresses_asked_for),
    cmocka_unit_test(test_take_of_a_reply_cut_anywhere_is_garbage),
    cmocka_unit_test(test_take_ignores_octets_behind_the_last_record),
    cmocka_unit_test(test_take_of_replies_changed_at_random_never_misbehaves),
    cmocka_unit_test(test_take_levels_a_large_rrset_and_counts_every_ttl),
    cmocka_unit_test(test_give_truncates_what_the_client_cannot_take),
    cmocka_unit_test(test_give_of_a_value_longer_than_its_room_is_truncated),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest
        tests[COUNT_OF(match_rows) + COUNT_OF(take_rows) + COUNT_OF(give_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_match_row, match_rows);
    count += ROWS(test_take_row, take_rows);
    count += ROWS(test_give_row, give_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
