// SPDX-License-Identifier: MIT
#include "core/wire/message.h"

#include "tests/unit/packet.h"

// Pieces of queries. The name is 13 octets long, so a whole question ends at octet 29.
#define ID       "1234 "
#define RD_QUERY ID "0100 "
#define ONE      "0001 0000 0000 0000 "
#define ONE_OPT  "0001 0000 0000 0001 "
#define NAME     "'www' 'example' 00 "
#define A_IN     NAME "0001 0001 "
#define OPT      "00 0029 04d0 00 00 0000 0000 "
#define A_RECORD "00 0001 0001 0000003c 0004 c0000201 "
#define L63      "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61      "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "
#define L62      "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij' "

struct query_row {
    const char *name;
    const char *packet;
    enum query_verdict verdict;
    uint16_t rcode;
    uint8_t name_len;
    uint16_t udp_size; // 0: stands for 512
    bool edns;
    bool dnssec_ok;
    bool checking_disabled;
};

#define GOOD(len)      .verdict = QUERY_GOOD, .name_len = (len)
#define BAD(code, len) .verdict = QUERY_ERROR, .rcode = RCODE_##code, .name_len = (len)
#define FORMAT(len)    BAD(FORMERR, len)
#define WITH(size)     .edns = true, .udp_size = (size)

// A question of this type or class.
#define TYPED(type)       RD_QUERY ONE NAME type " 0001"
#define CLASSED(class)    RD_QUERY ONE NAME "0001 " class
#define WITH_OPT(opt)     RD_QUERY ONE_OPT A_IN opt
#define WITH_COUNTS(four) RD_QUERY four A_IN

static const struct query_row query_rows[] = {
    // Questions that are good.
    {"plain query", RD_QUERY ONE A_IN, GOOD(13)},
    {"query without RD", ID "0000 " ONE A_IN, GOOD(13)},
    {"query with AA, RA, Z and AD set", ID "05e0 " ONE A_IN, GOOD(13)},
    {"query with CD set", ID "0110 " ONE A_IN, GOOD(13), .checking_disabled = true},
    {"query with an rcode set", ID "010f " ONE A_IN, GOOD(13)},
    {"query for the root", RD_QUERY ONE "00 0002 0001", GOOD(1)},
    {"query in mixed case", RD_QUERY ONE "'wWw' 'eXample' 00 0001 0001", GOOD(13)},
    {"query with zero and 0xff octets in its name", RD_QUERY ONE "02 00ff 01 2e 00 0001 0001",
     GOOD(6)},
    {"query with a name of 255 octets", RD_QUERY ONE L63 L63 L63 L61 "00 0001 0001", GOOD(255)},
    {"query with octets behind it", RD_QUERY ONE A_IN "dead beef", GOOD(13)},
    {"query of type 65535", TYPED("ffff"), GOOD(13)},
    {"query of type ANY", TYPED("00ff"), GOOD(13)},
    {"query of type SIG", TYPED("0018"), GOOD(13)},
    {"query of type HTTPS", TYPED("0041"), GOOD(13)},
    {"query of type NULL", TYPED("000a"), GOOD(13)},
    // Headers that are bad.
    {"no octet", "", .verdict = QUERY_SHORT},
    {"one octet", "12", .verdict = QUERY_SHORT},
    {"eleven octets", "1234 0100 0001 0000 0000 00", .verdict = QUERY_SHORT},
    {"eleven octets with QR", "1234 8100 0001 0000 0000 00", .verdict = QUERY_SHORT},
    {"header alone", RD_QUERY ONE, FORMAT(0)},
    {"header alone without question", RD_QUERY "0000 0000 0000 0000", FORMAT(0)},
    {"response", ID "8180 " ONE A_IN, .verdict = QUERY_RESPONSE},
    {"response with another opcode", ID "a180 " ONE A_IN, .verdict = QUERY_RESPONSE},
    {"response without question", ID "8180 0000 0000 0000 0000", .verdict = QUERY_RESPONSE},
    {"TC set", ID "0300 " ONE A_IN, FORMAT(13)},
    {"notify", ID "2400 " ONE NAME "0006 0001", BAD(NOTIMP, 13)},
    {"update without question", ID "2800 0000 0000 0000 0000", BAD(NOTIMP, 0)},
    {"DSO, whose counts are all 0", ID "3000 0000 0000 0000 0000", BAD(NOTIMP, 0)},
    {"other opcode with a cut question", ID "0900 " ONE "'www' 07 6578", BAD(NOTIMP, 0)},
    {"other opcode and TC", ID "0b00 " ONE A_IN, BAD(NOTIMP, 13)},
    // Counts that are bad.
    {"QDCOUNT 0 with a question there", WITH_COUNTS("0000 0000 0000 0000 "), FORMAT(0)},
    {"QDCOUNT 0 and an OPT", RD_QUERY "0000 0000 0000 0001 " OPT, FORMAT(0), WITH(1232)},
    {"QDCOUNT 2", WITH_COUNTS("0002 0000 0000 0000 ") A_IN, FORMAT(0)},
    {"QDCOUNT 2 with one question", WITH_COUNTS("0002 0000 0000 0000 "), FORMAT(0)},
    {"QDCOUNT 256", WITH_COUNTS("0100 0000 0000 0000 "), FORMAT(0)},
    {"QDCOUNT 65535", WITH_COUNTS("ffff 0000 0000 0000 "), FORMAT(0)},
    {"ANCOUNT 1", WITH_COUNTS("0001 0001 0000 0000 ") A_RECORD, FORMAT(13)},
    {"ANCOUNT 1 with nothing there", WITH_COUNTS("0001 0001 0000 0000 "), FORMAT(13)},
    {"NSCOUNT 1", WITH_COUNTS("0001 0000 0001 0000 ") A_RECORD, FORMAT(13)},
    {"NSCOUNT 1 with IXFR", RD_QUERY "0001 0000 0001 0000 " NAME "00fb 0001 " A_RECORD,
     BAD(REFUSED, 13)},
    {"NSCOUNT 1 with IXFR and nothing there", RD_QUERY "0001 0000 0001 0000 " NAME "00fb 0001",
     FORMAT(13)},
    {"NSCOUNT and ARCOUNT 65535 with IXFR", RD_QUERY "0001 0000 ffff ffff " NAME "00fb 0001",
     FORMAT(13)},
    {"ARCOUNT 1 with nothing there", WITH_COUNTS("0001 0000 0000 0001 "), FORMAT(13)},
    {"ARCOUNT 2 with one record", WITH_COUNTS("0001 0000 0000 0002 ") OPT, FORMAT(13), WITH(1232)},
    {"ARCOUNT 65535", WITH_COUNTS("0001 0000 0000 ffff ") OPT, FORMAT(13), WITH(1232)},
    {"ARCOUNT 0 with an OPT there", WITH_COUNTS("0001 0000 0000 0000 ") OPT, GOOD(13)},
    // Names that are bad.
    {"name that is a pointer to itself", RD_QUERY ONE "c00c 0001 0001", FORMAT(0)},
    {"name that is a pointer to the header", RD_QUERY ONE "c000 0001 0001", FORMAT(0)},
    {"name with a pointer at its end", RD_QUERY ONE "'www' c00c 0001 0001", FORMAT(0)},
    {"label type 01", RD_QUERY ONE "41 0001 00 0001 0001", FORMAT(0)},
    {"label type 10", RD_QUERY ONE "80 0001 00 0001 0001", FORMAT(0)},
    {"label of 64 octets", RD_QUERY ONE "40 " L63 "00 0001 0001", FORMAT(0)},
    {"name of 256 octets", RD_QUERY ONE L63 L63 L63 L62 "00 0001 0001", FORMAT(0)},
    {"name of 257 octets", RD_QUERY ONE L63 L63 L63 L63 "00 0001 0001", FORMAT(0)},
    {"name cut in a label", RD_QUERY ONE "'www' 07 6578 61", FORMAT(0)},
    {"name without its end", RD_QUERY ONE "'www'", FORMAT(0)},
    {"question without type", RD_QUERY ONE NAME, FORMAT(0)},
    {"question without class", RD_QUERY ONE NAME "0001", FORMAT(0)},
    // Types and classes.
    {"type 0", TYPED("0000"), FORMAT(13)},
    {"type OPT", TYPED("0029"), FORMAT(13)},
    {"type TKEY", TYPED("00f9"), FORMAT(13)},
    {"type TSIG", TYPED("00fa"), FORMAT(13)},
    {"type IXFR", TYPED("00fb"), BAD(REFUSED, 13)},
    {"type AXFR", TYPED("00fc"), BAD(REFUSED, 13)},
    {"type MAILB", TYPED("00fd"), BAD(NOTIMP, 13)},
    {"type MAILA", TYPED("00fe"), BAD(NOTIMP, 13)},
    {"class 0", CLASSED("0000"), BAD(REFUSED, 13)},
    {"class CH", CLASSED("0003"), BAD(REFUSED, 13)},
    {"class NONE", CLASSED("00fe"), BAD(REFUSED, 13)},
    {"class ANY", CLASSED("00ff"), BAD(REFUSED, 13)},
    {"type TSIG in class CH", RD_QUERY ONE NAME "00fa 0003", FORMAT(13)},
    // OPT and other records behind the question.
    {"OPT", WITH_OPT(OPT), GOOD(13), WITH(1232)},
    {"OPT with DO", WITH_OPT("00 0029 1000 00 00 8000 0000"), GOOD(13), WITH(4096),
     .dnssec_ok = true},
    {"OPT with all other flags", WITH_OPT("00 0029 1000 00 00 7fff 0000"), GOOD(13), WITH(4096)},
    {"OPT with an extended rcode", WITH_OPT("00 0029 1000 ff 00 0000 0000"), GOOD(13), WITH(4096)},
    {"OPT of size 0", WITH_OPT("00 0029 0000 00 00 0000 0000"), GOOD(13), WITH(512)},
    {"OPT of size 511", WITH_OPT("00 0029 01ff 00 00 0000 0000"), GOOD(13), WITH(512)},
    {"OPT of size 513", WITH_OPT("00 0029 0201 00 00 0000 0000"), GOOD(13), WITH(513)},
    {"OPT of size 65535", WITH_OPT("00 0029 ffff 00 00 0000 0000"), GOOD(13), WITH(65535)},
    {"OPT of version 1", WITH_OPT("00 0029 1000 00 01 8000 0000"), BAD(BADVERS, 13), WITH(4096),
     .dnssec_ok = true},
    {"OPT of version 255", WITH_OPT("00 0029 1000 00 ff 0000 0000"), BAD(BADVERS, 13), WITH(4096)},
    {"OPT of version 1 and type AXFR",
     RD_QUERY ONE_OPT NAME "00fc 0001 00 0029 1000 00 01 0000 0000", BAD(BADVERS, 13), WITH(4096)},
    {"OPT of version 1 with bad options", WITH_OPT("00 0029 1000 00 01 0000 0003 000a00"),
     FORMAT(13), WITH(4096)},
    {"OPT and type AXFR", RD_QUERY ONE_OPT NAME "00fc 0001" OPT, BAD(REFUSED, 13), WITH(1232)},
    {"two OPT", WITH_COUNTS("0001 0000 0000 0002 ") OPT OPT, FORMAT(13), WITH(1232)},
    {"OPT not at the root", WITH_OPT("01 61 00 0029 1000 00 00 0000 0000"), FORMAT(13), WITH(4096)},
    {"OPT at a pointer to the root", WITH_OPT("c018 0029 1000 00 00 0000 0000"), GOOD(13),
     WITH(4096)},
    {"OPT with an empty option", WITH_OPT("00 0029 1000 00 00 0000 0004 0003 0000"), GOOD(13),
     WITH(4096)},
    {"OPT with a cookie and a padding",
     WITH_OPT("00 0029 1000 00 00 0000 0012 000a 0008 0102030405060708 000c 0002 0000"), GOOD(13),
     WITH(4096)},
    {"OPT with an option longer than it", WITH_OPT("00 0029 1000 00 00 0000 0004 000a 0001"),
     FORMAT(13), WITH(4096)},
    {"OPT with an option reaching behind it",
     WITH_OPT("00 0029 1000 00 00 0000 0004 000a 0004 00000000"), FORMAT(13), WITH(4096)},
    {"OPT with one octet of an option", WITH_OPT("00 0029 1000 00 00 0000 0001 00"), FORMAT(13),
     WITH(4096)},
    {"OPT with half an option's head", WITH_OPT("00 0029 1000 00 00 0000 0002 000a"), FORMAT(13),
     WITH(4096)},
    {"OPT with three octets behind an option",
     WITH_OPT("00 0029 1000 00 00 0000 0007 0003 0000 000000"), FORMAT(13), WITH(4096)},
    {"OPT with an option of 65535 octets", WITH_OPT("00 0029 1000 00 00 0000 0004 0003 ffff"),
     FORMAT(13), WITH(4096)},
    {"OPT longer than the message", WITH_OPT("00 0029 1000 00 00 0000 0004 0003 00"), FORMAT(13)},
    {"OPT behind another record", WITH_COUNTS("0001 0000 0000 0002 ") A_RECORD OPT, GOOD(13),
     WITH(1232)},
    {"OPT before a TSIG",
     WITH_COUNTS("0001 0000 0000 0002 ") OPT "'key' 00 00fa 00ff 00000000 0000", GOOD(13),
     WITH(1232)},
    {"record with an owner that points to itself", WITH_OPT("c01d 0001 0001 00000000 0000"),
     FORMAT(13)},
    {"record with an owner that points forward", WITH_OPT("c01f 00 01 0001 00000000 0000"),
     FORMAT(13)},
    {"record with an owner behind the message", WITH_OPT("ffff 0001 0001 00000000 0000"),
     FORMAT(13)},
    {"record whose owner is a chain of pointers",
     WITH_COUNTS("0001 0000 0000 0002 ") "00 ff00 0001 00000000 0006 c00c c028 c02a c02c ff00 0001 "
                                         "00000000 0000",
     GOOD(13)},
    {"record whose owner is the question's name", WITH_OPT("c00c 0001 0001 00000000 0000"),
     GOOD(13)},
};

static void test_query_row(void **state)
{
    const struct query_row *row = *state;
    struct packet packet = packet_of(row->packet);
    uint8_t *bytes = exact_copy(packet.bytes, packet.len);
    struct query query;
    memset(&query, 0xa5, sizeof query);

    assert_int_equal(query_read(&query, bytes, packet.len), row->verdict);
    assert_int_equal(query.rcode, row->rcode);
    if (row->verdict != QUERY_SHORT)
        assert_int_equal(query.id, 0x1234);
    if (row->verdict == QUERY_GOOD || row->verdict == QUERY_ERROR) {
        assert_int_equal(query.flags, bytes[2]);
        assert_int_equal(query.name_len, row->name_len);
        assert_int_equal(query.edns, row->edns);
        assert_int_equal(query.dnssec_ok, row->dnssec_ok);
        assert_int_equal(query.checking_disabled, row->checking_disabled);
        assert_int_equal(query.udp_size, row->udp_size ? row->udp_size : 512);
        assert_ptr_equal(query.message, bytes);
    }
    if (row->verdict == QUERY_GOOD) {
        assert_int_equal(query.type, load_be16(bytes + 12 + row->name_len));
        assert_int_equal(query.class, CLASS_IN);
    }
    free(bytes);
}

static void test_every_opcode_but_query_is_not_implemented(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        struct packet packet = packet_of(RD_QUERY ONE_OPT A_IN OPT);
        struct query query;
        packet.bytes[2] = (uint8_t)(opcode << 3 | 1);
        enum query_verdict verdict = query_read(&query, packet.bytes, packet.len);
        assert_int_equal(verdict, opcode == 0 ? QUERY_GOOD : QUERY_ERROR);
        assert_int_equal(query.rcode, opcode == 0 ? RCODE_NOERROR : RCODE_NOTIMP);
        uint8_t reply[MESSAGE_UDP_MIN];
        size_t len = reply_empty(reply, &query, query.rcode, 0, true, 1232, EDE_NONE);
        assert_in_range(len, 29, 40);
        assert_int_equal(reply[2], 0x81 | opcode << 3);
        assert_int_equal(reply[3], opcode == 0 ? 0x80 : 0x84);
    }
}

static const char *const cut_packets[] = {
    RD_QUERY ONE A_IN,
    RD_QUERY ONE "00 0001 0001",
    WITH_OPT(OPT),
    WITH_OPT("00 0029 1000 00 00 0000 0012 000a 0008 0102030405060708 000c 0002 0000"),
    WITH_COUNTS("0001 0000 0000 0003 ") "c010 0001 0001 00000000 0004 7f000001" OPT A_RECORD,
    RD_QUERY ONE L63 L63 L63 L61 "00 0001 0001",
};

static void test_query_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cut_packets); i++) {
        struct packet packet = packet_of(cut_packets[i]);
        struct query query;
        assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_GOOD);
        for (size_t len = 0; len < packet.len; len++) {
            uint8_t *bytes = exact_copy(packet.bytes, len);
            enum query_verdict verdict = query_read(&query, bytes, len);
            if (verdict != (len < 12 ? QUERY_SHORT : QUERY_ERROR))
                fail_msg("packet %zu cut to %zu octets: verdict %d", i, len, verdict);
            assert_int_equal(query.rcode, len < 12 ? RCODE_NOERROR : RCODE_FORMERR);
            free(bytes);
        }
    }
}

// Whatever arrives, what query_read says must hang together and the reply to it be well-formed.
static void test_query_changed_at_random_keeps_its_promises(void **state)
{
    (void)state;
    uint64_t seed = 1;
    unsigned verdicts[4] = {0};
    for (unsigned i = 0; i < 200000; i++) {
        struct packet packet = packet_of(cut_packets[i % COUNT_OF(cut_packets)]);
        unsigned changes = 1 + test_random(&seed) % 4;
        for (unsigned k = 0; k < changes; k++)
            packet.bytes[test_random(&seed) % packet.len] = (uint8_t)test_random(&seed);
        size_t len = packet.len - (test_random(&seed) % 4 ? 0 : test_random(&seed) % packet.len);
        uint8_t *bytes = exact_copy(packet.bytes, len);
        struct query query;
        enum query_verdict verdict = query_read(&query, bytes, len);
        verdicts[verdict]++;
        assert_int_equal(verdict == QUERY_SHORT, len < 12);
        if (verdict == QUERY_GOOD || verdict == QUERY_ERROR) {
            assert_int_equal(verdict == QUERY_GOOD, query.rcode == RCODE_NOERROR);
            if (query.name_len)
                assert_int_equal(name_length(bytes + 12, len - 12), query.name_len);
            else
                assert_int_equal(verdict, QUERY_ERROR);
            uint8_t reply[MESSAGE_UDP_MIN];
            size_t reply_len =
                reply_empty(reply, &query, query.rcode, 0, true, 1232, EDE_PROHIBITED);
            assert_in_range(reply_len, 12, 12 + 255 + 4 + 11 + 6);
            struct query back;
            assert_int_equal(query_read(&back, reply, reply_len), QUERY_RESPONSE);
        }
        free(bytes);
    }
    for (unsigned i = 0; i < COUNT_OF(verdicts); i++)
        assert_in_range(verdicts[i], 100, 200000);
}

struct empty_row {
    const char *name;
    const char *query;
    uint16_t rcode;
    uint8_t extra;
    bool ra;
    int ede;
    const char *reply;
};

static const struct empty_row empty_rows[] = {
    {"empty reply", RD_QUERY ONE A_IN, RCODE_SERVFAIL, 0, true, EDE_NONE, ID "8182 " ONE A_IN},
    {"empty reply keeps RD clear", ID "0000 " ONE A_IN, RCODE_REFUSED, 0, true, EDE_NONE,
     ID "8085 " ONE A_IN},
    {"empty reply without RA", RD_QUERY ONE A_IN, RCODE_REFUSED, 0, false, EDE_NONE,
     ID "8105 " ONE A_IN},
    {"empty reply keeps CD, clears AA, Z, AD", ID "0570 " ONE A_IN, RCODE_NOERROR, 0, true,
     EDE_NONE, ID "8190 " ONE A_IN},
    {"empty reply with TC", RD_QUERY ONE A_IN, RCODE_NXDOMAIN, HEADER_TC, true, EDE_NONE,
     ID "8383 " ONE A_IN},
    {"empty reply keeps the client's spelling", RD_QUERY ONE "'wWw' 'eXAmple' 00 001c 0001",
     RCODE_NOERROR, 0, true, EDE_NONE, ID "8180 " ONE "'wWw' 'eXAmple' 00 001c 0001"},
    {"empty reply without a question", RD_QUERY "0000 0000 0000 0000", RCODE_FORMERR, 0, true,
     EDE_NONE, ID "8181 0000 0000 0000 0000"},
    {"empty reply to a cut question", RD_QUERY ONE "'www' 'ex'", RCODE_FORMERR, 0, true, EDE_NONE,
     ID "8181 0000 0000 0000 0000"},
    {"empty reply without EDNS has no EDE", RD_QUERY ONE A_IN, RCODE_REFUSED, 0, false,
     EDE_PROHIBITED, ID "8105 " ONE A_IN},
    {"empty reply with OPT", WITH_OPT("00 0029 1000 00 00 0000 0000"), RCODE_NOERROR, 0, true,
     EDE_NONE, ID "8180 " ONE_OPT A_IN OPT},
    {"empty reply with OPT and DO", WITH_OPT("00 0029 1000 00 00 ffff 0000"), RCODE_NOERROR, 0,
     true, EDE_NONE, ID "8180 " ONE_OPT A_IN "00 0029 04d0 00 00 8000 0000"},
    {"empty reply of BADVERS", WITH_OPT("00 0029 1000 00 01 0000 0000"), RCODE_BADVERS, 0, true,
     EDE_NONE, ID "8180 " ONE_OPT A_IN "00 0029 04d0 01 00 0000 0000"},
    {"empty reply with EDE", WITH_OPT(OPT), RCODE_REFUSED, 0, false, EDE_PROHIBITED,
     ID "8105 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 0006 000f 0002 0012"},
    {"empty reply with EDE 0", WITH_OPT(OPT), RCODE_SERVFAIL, 0, true, 0,
     ID "8182 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 0006 000f 0002 0000"},
    {"empty reply drops the client's options",
     WITH_OPT("00 0029 1000 00 00 0000 000c 000a 0008 0102030405060708"), RCODE_NOERROR, 0, true,
     EDE_NONE, ID "8180 " ONE_OPT A_IN OPT},
    {"empty reply of the greatest length", RD_QUERY ONE_OPT L63 L63 L63 L61 "00 0001 0001" OPT,
     RCODE_REFUSED, 0, false, EDE_PROHIBITED,
     ID "8105 " ONE_OPT L63 L63 L63 L61 "00 0001 0001 00 0029 04d0 00 00 0000 0006 000f 0002 0012"},
};

static void test_reply_empty_row(void **state)
{
    const struct empty_row *row = *state;
    struct packet packet = packet_of(row->query);
    struct query query;
    assert_in_range(query_read(&query, packet.bytes, packet.len), QUERY_GOOD, QUERY_ERROR);
    uint8_t *reply = malloc(MESSAGE_UDP_MIN);
    assert_non_null(reply);
    size_t len = reply_empty(reply, &query, row->rcode, row->extra, row->ra, 1232, row->ede);
    assert_packet(reply, len, row->reply);
    free(reply);
}

#define COOKIE_8  "0123456789abcdef "
#define COOKIE_40 COOKIE_8 COOKIE_8 COOKIE_8 COOKIE_8 COOKIE_8

struct upstream_row {
    const char *name;
    const char *qname;
    const char *name_case; // what the name is to look like; NULL: no case is given
    uint16_t type;
    uint16_t class;
    uint16_t udp_size;
    bool checking_disabled;
    bool dnssec_ok;
    const char *query;
    const char *cookie; // NULL: none
};

static const struct upstream_row upstream_rows[] = {
    {"query to upstream", NAME, NULL, 1, 1, 1232, false, false, ID "0100 " ONE_OPT A_IN OPT, NULL},
    {"query to upstream with CD", NAME, NULL, 28, 1, 1232, true, false,
     ID "0110 " ONE_OPT NAME "001c 0001" OPT, NULL},
    {"query to upstream with DO", NAME, NULL, 0xabcd, 0xef01, 4096, false, true,
     ID "0100 " ONE_OPT NAME "abcd ef01 00 0029 1000 00 00 8000 0000", NULL},
    {"query to upstream with CD and DO", "00", NULL, 2, 1, 512, true, true,
     ID "0110 " ONE_OPT "00 0002 0001 00 0029 0200 00 00 8000 0000", NULL},
    {"query to upstream in mixed case", NAME, "'wWw' 'EXamplE' 00", 1, 1, 1232, false, false,
     ID "0100 " ONE_OPT "'wWw' 'EXamplE' 00 0001 0001" OPT, NULL},
    {"query to upstream with the longest name", L63 L63 L63 L61 "00", NULL, 1, 1, 1232, false,
     false, ID "0100 " ONE_OPT L63 L63 L63 L61 "00 0001 0001" OPT, NULL},
    {"query to upstream without OPT", NAME, NULL, 1, 1, 0, true, true, ID "0110 " ONE A_IN, NULL},
    {"query to upstream without OPT in mixed case", NAME, "'wWw' 'EXamplE' 00", 1, 1, 0, false,
     false, ID "0100 " ONE "'wWw' 'EXamplE' 00 0001 0001", NULL},
    {"query to upstream with a cookie", NAME, NULL, 1, 1, 1232, false, false,
     ID "0100 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 000c 000a 0008 " COOKIE_8, COOKIE_8},
    {"query to upstream with a server's cookie and DO", NAME, NULL, 1, 1, 1232, false, true,
     ID "0100 " ONE_OPT A_IN "00 0029 04d0 00 00 8000 0014 000a 0010 " COOKIE_8 COOKIE_8,
     COOKIE_8 COOKIE_8},
    {"query to upstream with a cookie and without OPT", NAME, NULL, 1, 1, 0, false, false,
     ID "0100 " ONE A_IN, COOKIE_8},
    {"query to upstream with the longest name and the longest cookie", L63 L63 L63 L61 "00", NULL,
     1, 1, 1232, false, false,
     ID "0100 " ONE_OPT L63 L63 L63 L61
        "00 0001 0001 00 0029 04d0 00 00 0000 002c 000a 0028 " COOKIE_40,
     COOKIE_40},
};

static void test_upstream_query_row(void **state)
{
    const struct upstream_row *row = *state;
    struct packet name = packet_of(row->qname);
    struct name_case name_case;
    if (row->name_case) {
        struct packet spelled = packet_of(row->name_case);
        name_case_read(&name_case, spelled.bytes, spelled.len);
    }
    struct packet cookie = packet_of(row->cookie ? row->cookie : "");
    struct upstream_query query = {
        .name = name.bytes,
        .name_len = (uint8_t)name.len,
        .name_case = row->name_case ? &name_case : NULL,
        .cookie = cookie.bytes,
        .cookie_len = (uint8_t)cookie.len,
        .id = 0x1234,
        .type = row->type,
        .class = row->class,
        .udp_size = row->udp_size,
        .checking_disabled = row->checking_disabled,
        .dnssec_ok = row->dnssec_ok,
    };
    uint8_t *out = malloc(UPSTREAM_QUERY_MAX);
    assert_non_null(out);
    memset(out, 0xa5, UPSTREAM_QUERY_MAX);
    size_t len = upstream_query_write(out, &query);
    assert_packet(out, len, row->query);
    for (size_t i = len; i < UPSTREAM_QUERY_MAX; i++)
        assert_int_equal(out[i], 0xa5);
    free(out);
}

struct reduce_row {
    const char *name;
    const char *query;
    const char *reduced; // NULL: it is no good query
};

static const struct reduce_row reduce_rows[] = {
    {"reduced query without OPT", ID "0110 " ONE NAME "001c 0001", ID "0110 " ONE NAME "001c 0001"},
    {"reduced query with an OPT record", ID "0100 " ONE_OPT A_IN "00 0029 1000 00 00 8000 0000",
     ID "0100 " ONE_OPT A_IN "00 0029 1000 00 00 8000 0000"},
    {"reduced query with padding and what we do not know",
     ID
     "0100 " ONE_OPT A_IN
     "00 0029 04d0 00 00 0000 001e 000c 0004 00000000 0003 0000 00fe 0002 0102 000a 0008 " COOKIE_8,
     ID "0100 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 0010 000a 0008 " COOKIE_8 "0003 0000"},
    {"reduced query with a cookie of no length",
     ID "0100 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 0007 000a 0003 010203",
     ID "0100 " ONE_OPT A_IN "00 0029 04d0 00 00 0000 0000"},
    {"reduced query with a record that is not OPT",
     ID "0100 0001 0000 0000 0001 " A_IN "00 0010 0001 00000000 0002 0161", ID "0100 " ONE A_IN},
    {"reduced query that is none", ID "2100 " ONE A_IN, NULL},
};

static void test_reduce_row(void **state)
{
    const struct reduce_row *row = *state;
    struct packet packet = packet_of(row->query);
    uint8_t *message = exact_copy(packet.bytes, packet.len);
    uint8_t *out = malloc(QUERY_REDUCED_MAX);
    assert_non_null(out);
    size_t len = query_reduce(message, packet.len, out);
    if (row->reduced)
        assert_packet(out, len, row->reduced);
    else
        assert_int_equal(len, 0);
    free(out);
    free(message);
}

// The longest name with all options has just enough room.
static void test_longest_query_is_reduced(void **state)
{
    (void)state;
    struct packet packet =
        packet_of(ID "0100 " ONE_OPT L63 L63 L63 L61
                     "00 0001 0001 00 0029 04d0 00 00 0000 003a 0003 0000 000b 0000 "
                     "000c 0002 0000 000a 0028 " COOKIE_40);
    uint8_t *out = malloc(QUERY_REDUCED_MAX);
    assert_non_null(out);
    assert_int_equal(query_reduce(packet.bytes, packet.len, out), QUERY_REDUCED_MAX);
    free(out);
}

struct cookie_row {
    const char *name;
    const char *options;
    size_t len; // of the cookie; 0: none is found
    size_t at;
};

static const struct cookie_row cookie_rows[] = {
    {"no options", "", 0, 0},
    {"cookie alone", "000a 0008 " COOKIE_8, 8, 4},
    {"cookie with a server's", "000a 0010 " COOKIE_8 COOKIE_8, 16, 4},
    {"cookie of the longest kind", "000a 0028 " COOKIE_40, 40, 4},
    {"cookie behind other options", "000f 0002 0003 0003 0000 000a 0008 " COOKIE_8, 8, 14},
    {"cookie before other options", "000a 0008 " COOKIE_8 "000f 0002 0003", 8, 4},
    {"cookie before an option that is cut", "000a 0008 " COOKIE_8 "000f 0002 00", 8, 4},
    {"cookie behind an option that is cut", "000f 0020 0003 000a 0008 " COOKIE_8, 0, 0},
    {"cookies, of which the first counts", "000a 0008 " COOKIE_8 "000a 0010 " COOKIE_40, 8, 4},
    {"cookies, of which the first is bad", "000a 0002 0000 000a 0008 " COOKIE_8, 0, 0},
    {"other options alone", "000f 0002 0003 0003 0004 61626364", 0, 0},
    {"options with one octet behind them", "000f 0002 0003 00", 0, 0},
};

static void test_cookie_row(void **state)
{
    const struct cookie_row *row = *state;
    struct packet options = packet_of(row->options);
    uint8_t *bytes = exact_copy(options.bytes, options.len);
    const uint8_t *cookie = NULL;
    assert_int_equal(cookie_find(bytes, options.len, &cookie), row->len);
    if (row->len > 0)
        assert_ptr_equal(cookie, bytes + row->at);
    free(bytes);
}

// RFC 7873 4: 8 octets of the client's, and none or 8 to 32 of the server's.
static void test_cookie_is_found_in_its_lengths_alone(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 64; len++) {
        uint8_t *bytes = calloc(4 + len, 1);
        const uint8_t *cookie;
        assert_non_null(bytes);
        bytes[1] = 10;
        bytes[3] = (uint8_t)len;
        bool valid = len == 8 || (len >= 16 && len <= 40);
        assert_int_equal(cookie_find(bytes, 4 + len, &cookie), valid ? len : 0);
        free(bytes);
    }
}

static void test_cookie_cut_anywhere_is_not_found(void **state)
{
    (void)state;
    struct packet options = packet_of("000f 0002 0003 000a 0028 " COOKIE_40);
    for (size_t len = 0; len < options.len; len++) {
        uint8_t *bytes = exact_copy(options.bytes, len);
        const uint8_t *cookie;
        assert_int_equal(cookie_find(bytes, len, &cookie), 0);
        free(bytes);
    }
}

// An EDE option may stand in a record that has options already.
static void test_ede_is_added_behind_what_is_there(void **state)
{
    (void)state;
    uint8_t opt[OPT_LEN + 2 * EDE_LEN];
    opt_write(opt, 1232, RCODE_BADCOOKIE, true);
    assert_packet(opt, OPT_LEN, "00 0029 04d0 01 00 8000 0000");
    assert_int_equal(opt_ede_write(opt, EDE_STALE), EDE_LEN);
    assert_int_equal(opt_ede_write(opt, EDE_NETWORK_ERROR), EDE_LEN);
    assert_packet(opt, sizeof opt, "00 0029 04d0 01 00 8000 000c 000f 0002 0003 000f 0002 0017");
}

static void test_reply_max_is_the_lower_of_both_sides(void **state)
{
    (void)state;
    static const struct {
        bool edns;
        uint16_t udp_size, udp_payload_max, wanted;
    } rows[] = {
        {false, 512, 1232, 512},  {true, 512, 1232, 512},   {true, 1231, 1232, 1231},
        {true, 1232, 1232, 1232}, {true, 1233, 1232, 1232}, {true, 65535, 4096, 4096},
        {true, 4096, 512, 512},   {false, 512, 512, 512},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct query query = {.edns = rows[i].edns, .udp_size = rows[i].udp_size};
        assert_int_equal(query_reply_max(&query, rows[i].udp_payload_max), rows[i].wanted);
    }
}

#define OPT_OF(len)      "00 0029 04d0 00 00 0000 " len " "
#define UNASKED          RD_QUERY "0000 0000 0000 0001 "
#define COOKIE_OPTION_8  "000a 0008 " COOKIE_8
#define COOKIE_OPTION_24 "000a 0018 " COOKIE_8 COOKIE_8 COOKIE_8
#define NSID             "0003 0000 "

// What is remembered of a query's cookie, whatever its length: to judge it is policy.
static void test_query_read_remembers_the_first_cookie(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        enum query_verdict verdict;
        int at; // -1: none
        uint16_t len;
        bool unasked;
    } rows[] = {
        {RD_QUERY ONE A_IN, QUERY_GOOD, -1, 0, false},
        {WITH_OPT(OPT), QUERY_GOOD, -1, 0, false},
        {WITH_OPT(OPT_OF("0004") NSID), QUERY_GOOD, -1, 0, false},
        {WITH_OPT(OPT_OF("000c") COOKIE_OPTION_8), QUERY_GOOD, 44, 8, false},
        {WITH_OPT(OPT_OF("001c") COOKIE_OPTION_24), QUERY_GOOD, 44, 24, false},
        {WITH_OPT(OPT_OF("0010") NSID COOKIE_OPTION_8), QUERY_GOOD, 48, 8, false},
        {WITH_OPT(OPT_OF("0010") COOKIE_OPTION_8 NSID), QUERY_GOOD, 44, 8, false},
        {WITH_OPT(OPT_OF("0028") COOKIE_OPTION_8 COOKIE_OPTION_24), QUERY_GOOD, 44, 8, false},
        {WITH_OPT(OPT_OF("0004") "000a 0000"), QUERY_GOOD, 44, 0, false},
        {WITH_OPT(OPT_OF("000b") "000a 0007 01234567 89abcd"), QUERY_GOOD, 44, 7, false},
        {WITH_OPT(OPT_OF("0010") "000a 0000" COOKIE_OPTION_8), QUERY_GOOD, 44, 0, false},
        {WITH_OPT(OPT_OF("000b") "000a 0008 01234567 89abcd"), QUERY_ERROR, -1, 0, false},
        {CLASSED("0003"), QUERY_ERROR, -1, 0, false},
        {UNASKED OPT_OF("000c") COOKIE_OPTION_8, QUERY_ERROR, 27, 8, true},
        {UNASKED OPT_OF("001c") COOKIE_OPTION_24, QUERY_ERROR, 27, 24, true},
        {UNASKED OPT, QUERY_ERROR, -1, 0, true},
        {UNASKED "00 0029 04d0 00 01 0000 000c" COOKIE_OPTION_8, QUERY_ERROR, 27, 8, false},
        {UNASKED OPT_OF("000d") COOKIE_OPTION_8, QUERY_ERROR, -1, 0, false},
        {RD_QUERY "0000 0000 0001 0001 " A_RECORD OPT_OF("000c") COOKIE_OPTION_8, QUERY_ERROR, -1,
         0, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct packet packet = packet_of(rows[i].packet);
        uint8_t *bytes = exact_copy(packet.bytes, packet.len);
        struct query query;
        assert_int_equal(query_read(&query, bytes, packet.len), rows[i].verdict);
        if (query.cookie != (rows[i].at < 0 ? NULL : bytes + rows[i].at))
            fail_msg("row %zu: the cookie is elsewhere", i);
        assert_int_equal(query.cookie_len, rows[i].len);
        assert_int_equal(query.unasked, rows[i].unasked);
        assert_null(query.options);
        free(bytes);
    }
}

static void test_reply_options_stand_before_the_reason(void **state)
{
    (void)state;
    struct reply_options options = {0};
    struct packet cookie = packet_of(COOKIE_8 COOKIE_8 COOKIE_8),
                  plain = packet_of(RD_QUERY ONE A_IN);
    struct packet packet = packet_of(WITH_OPT(OPT));
    struct query query;
    uint8_t reply[MESSAGE_UDP_MIN];
    reply_options_add(&options, EDNS_COOKIE, cookie.bytes, (uint16_t)cookie.len);
    assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_GOOD);
    query.options = &options;
    assert_int_equal(query_opt_len(&query), OPT_LEN + 28);
    size_t len = reply_empty(reply, &query, RCODE_BADCOOKIE, 0, true, 1232, EDE_NONE);
    assert_packet(reply, len,
                  ID "8187 " ONE_OPT A_IN "00 0029 04d0 01 00 0000 001c " COOKIE_OPTION_24);
    len = reply_empty(reply, &query, RCODE_REFUSED, 0, true, 1232, EDE_PROHIBITED);
    assert_packet(reply, len,
                  ID "8185 " ONE_OPT A_IN OPT_OF("0022") COOKIE_OPTION_24 "000f 0002 0012");
    assert_int_equal(query_read(&query, plain.bytes, plain.len), QUERY_GOOD);
    query.options = &options;
    assert_int_equal(query_opt_len(&query), 0);
    len = reply_empty(reply, &query, RCODE_REFUSED, 0, true, 1232, EDE_PROHIBITED);
    assert_packet(reply, len, ID "8185 " ONE A_IN);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_longest_query_is_reduced),
    cmocka_unit_test(test_query_read_remembers_the_first_cookie),
    cmocka_unit_test(test_reply_options_stand_before_the_reason),
    cmocka_unit_test(test_every_opcode_but_query_is_not_implemented),
    cmocka_unit_test(test_query_cut_anywhere_is_malformed),
    cmocka_unit_test(test_query_changed_at_random_keeps_its_promises),
    cmocka_unit_test(test_reply_max_is_the_lower_of_both_sides),
    cmocka_unit_test(test_cookie_is_found_in_its_lengths_alone),
    cmocka_unit_test(test_cookie_cut_anywhere_is_not_found),
    cmocka_unit_test(test_ede_is_added_behind_what_is_there),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(query_rows) + COUNT_OF(empty_rows) + COUNT_OF(upstream_rows) +
                            COUNT_OF(cookie_rows) + COUNT_OF(reduce_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_query_row, query_rows);
    count += ROWS(test_reply_empty_row, empty_rows);
    count += ROWS(test_upstream_query_row, upstream_rows);
    count += ROWS(test_cookie_row, cookie_rows);
    count += ROWS(test_reduce_row, reduce_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
