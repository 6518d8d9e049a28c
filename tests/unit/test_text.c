// SPDX-License-Identifier: MIT
#include "core/wire/text.h"

#include "tests/unit/packet.h"

static bool read_exact(struct text_record *record, const char *text, char *why)
{
    size_t len = strlen(text);
    uint8_t *copy = exact_copy((const uint8_t *)text, len);
    memset(why, 'x', TEXT_WHY_SIZE);
    bool good = text_record_read(record, (const char *)copy, len, why);
    free(copy);
    return good;
}

static const struct {
    const char *name; // the text
    uint16_t type;
    uint32_t ttl;
    const char *owner;
    const char *data;
} good_rows[] = {
    {"printer.lan. 300 IN A 192.0.2.9", 1, 300, "'printer' 'lan' 00", "c000 0209"},
    {"printer.lan IN 300 A 192.0.2.9", 1, 300, "'printer' 'lan' 00", "c000 0209"},
    {"Printer.LAN a 192.0.2.9", 1, 3600, "'Printer' 'LAN' 00", "c000 0209"},
    {"x. class1 1h30m type1 192.0.2.9 ; a comment", 1, 5400, "'x' 00", "c000 0209"},
    {"\tx  0\tA\t192.0.2.9\r\n", 1, 0, "'x' 00", "c000 0209"},
    {"x. 2147483647 A 192.0.2.9", 1, 0x7fffffff, "'x' 00", "c000 0209"},
    {". 1w2d NS a.", 2, 777600, "00", "'a' 00"},
    {"a\\.b.\\099. CNAME .", 5, 3600, "'a.b' 'c' 00", "00"},
    {"z SOA ns.z. host\\.master.z. (1 2h 3m 4w 5)", 6, 3600, "'z' 00",
     "'ns' 'z' 00 'host.master' 'z' 00 00000001 00001c20 000000b4 0024ea00 00000005"},
    {"9.2.0.192.in-addr.arpa. PTR x.lan", 12, 3600, "'9' '2' '0' '192' 'in-addr' 'arpa' 00",
     "'x' 'lan' 00"},
    {"x HINFO \"a b\" c", 13, 3600, "'x' 00", "'a b' 'c'"},
    {"x MX 10 mail.x.", 15, 3600, "'x' 00", "000a 'mail' 'x' 00"},
    {"x TXT hello", 16, 3600, "'x' 00", "'hello'"},
    {"x TXT \"a ; b\" \"\" \"\\\"\\092\" d\\032e", 16, 3600, "'x' 00", "'a ; b' 00 02225c 'd e'"},
    {"x AAAA 2001:db8::9", 28, 3600, "'x' 00", "2001 0db8 0000 0000 0000 0000 0000 0009"},
    {"_sip._udp.x SRV 1 2 5060 sip.x.", 33, 3600, "'_sip' '_udp' 'x' 00",
     "0001 0002 13c4 'sip' 'x' 00"},
    {"x NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .", 35, 3600, "'x' 00",
     "0064 000a 'u' 'E2U+sip' '!^.*$!sip:a@b!' 00"},
    {"x DS 60485 5 1 2BB183AF5F22588179A5 3B0A98631FAD1A292118", 43, 3600, "'x' 00",
     "ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118"},
    {"x SSHFP 4 2 0123456789abcdef", 44, 3600, "'x' 00", "04 02 0123456789abcdef"},
    {"_443._tcp.x TLSA 3 1 1 0a0b", 52, 3600, "'_443' '_tcp' 'x' 00", "03 01 01 0a0b"},
    {"x CAA 128 issue \"ca.example; a=b\"", 257, 3600, "'x' 00",
     "80 'issue' 63612e6578616d706c653b20613d62"},
    {"x CAA 0 iodef \"\"", 257, 3600, "'x' 00", "00 'iodef'"},
    {"x HTTPS 0 y.", 65, 3600, "'x' 00", "0000 'y' 00"},
    {"x HTTPS 1 .", 65, 3600, "'x' 00", "0001 00"},
    {"x SVCB 16 y. port=53", 64, 3600, "'x' 00", "0010 'y' 00 0003 0002 0035"},
    // The vectors of RFC 9460 D.2, without its names.
    {"x SVCB 1 . key667=\"hello\\210qoo\"", 64, 3600, "'x' 00",
     "0001 00 029b 0009 68656c6c6fd2716f6f"},
    {"x SVCB 1 . ipv6hint=\"2001:db8::1,2001:db8::53:1\"", 64, 3600, "'x' 00",
     "0001 00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001"},
    {"x SVCB 16 . alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1", 64, 3600, "'x' 00",
     "0010 00 0000 0004 0001 0004 0001 0009 'h2' 'h3-19' 0004 0004 c0000201"},
    {"x SVCB 16 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", 64, 3600, "'x' 00",
     "0010 00 0001 000c 08 665c6f6f2c626172 'h2'"},
    {"x SVCB 16 . alpn=f\\\\\\092oo\\092,bar,h2", 64, 3600, "'x' 00",
     "0010 00 0001 000c 08 665c6f6f2c626172 'h2'"},
    {"x HTTPS 1 . no-default-alpn alpn=h3 ech=AQID key65534=x dohpath=/q{?dns}", 65, 3600, "'x' 00",
     "0001 00 0001 0003 'h3' 0002 0000 0005 0003 010203 0007 0008 2f717b3f646e737d fffe 0001 78"},
    {"x TYPE65280 \\# 0", 65280, 3600, "'x' 00", ""},
    {"x TYPE65280 \\# 4 0a0B 0c 0D", 65280, 3600, "'x' 00", "0a0b0c0d"},
    {"x A \\# 4 c0000209", 1, 3600, "'x' 00", "c000 0209"},
    {"x MX \\# 5 000a016100", 15, 3600, "'x' 00", "000a 'a' 00"},
    {"x HTTPS \\# 3 000100", 65, 3600, "'x' 00", "0001 00"},
};

static void test_good(void **state)
{
    for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
        struct text_record record;
        char why[TEXT_WHY_SIZE];
        if (good_rows[i].name != *(const char **)*state)
            continue;
        if (!read_exact(&record, good_rows[i].name, why))
            fail_msg("%s", why);
        assert_int_equal(record.type, good_rows[i].type);
        assert_int_equal(record.ttl, good_rows[i].ttl);
        assert_packet(record.owner.bytes, record.owner.len, good_rows[i].owner);
        assert_packet(record.data, record.data_len, good_rows[i].data);
    }
}

static const struct {
    const char *name; // the text
    const char *why;
} bad_rows[] = {
    {"", "there is no record: give \"owner TTL type data\""},
    {" ; nothing", "there is no record: give \"owner TTL type data\""},
    {"@ A 192.0.2.1", "@ is for zone files only: write the name out"},
    {"$TTL 300", "$TTL is for zone files only: write the name out"},
    {"*.x A 192.0.2.1", "*.x is a wildcard, which local records cannot be: name each name"},
    {"a..b A 192.0.2.1", "the owner a..b is no domain name"},
    {"x", "the type is missing"},
    {"x 300 IN", "the type is missing"},
    {"x 300 400 A 192.0.2.1", "a second TTL, 400, stands before the type"},
    {"x IN IN A 192.0.2.1", "a second class, IN, stands before the type"},
    {"x CH TXT a", "only records of class IN are served, not CH"},
    {"x 2147483648 A 192.0.2.1", "the TTL is a number of seconds up to 2147483647, not 2147483648"},
    {"x 5y A 192.0.2.1", "the TTL is a number of seconds up to 2147483647, not 5y"},
    {"x B 1", "B is no type that is known here: write it as TYPE and its number"},
    {"x TYPE0 \\# 0", "TYPE0 is no type that is known here: write it as TYPE and its number"},
    {"x TYPE41 \\# 0", "TYPE41 is no type that is known here: write it as TYPE and its number"},
    {"x TYPE255 \\# 0", "TYPE255 is no type that is known here: write it as TYPE and its number"},
    {"x TYPE65536 \\# 0",
     "TYPE65536 is no type that is known here: write it as TYPE and its number"},
    {"x TYPE300 1", "the data of TYPE300 is written as \\# LENGTH HEXADECIMAL"},
    {"x A", "the IPv4 address is missing"},
    {"x A 192.0.2.300", "192.0.2.300 is no IPv4 address"},
    {"x A 192.0.2.0/24", "192.0.2.0/24 is no IPv4 address"},
    {"x A ::1", "::1 is no IPv4 address"},
    {"x AAAA 192.0.2.1", "192.0.2.1 is no IPv6 address"},
    {"x A 192.0.2.1 192.0.2.2", "192.0.2.2 has nothing to say behind the data of A"},
    {"x MX mail.x.", "the preference is a number from 0 to 65535, not mail.x."},
    {"x MX 10", "the exchange is missing"},
    {"x MX 10 a..b", "the exchange is a domain name, which a..b is not"},
    {"x CNAME @", "the target is a domain name, which @ is not"},
    {"x TXT", "the text is missing"},
    {"x TXT \"a", "a quote that begins in \"a has no end"},
    {"x TXT \\999", "the text \\999 is longer than 255 octets, or has a bad escape"},
    {"x SOA a b 1 2 3 4 x", "the minimum is a number of seconds, not x"},
    {"x DS 1 1 1 abc", "the digest has an odd number of hexadecimal digits"},
    {"x DS 1 1 1 xy", "the digest is hexadecimal, which xy is not"},
    {"x DS 1 1 1", "the digest is missing"},
    {"x CAA 0 is-sue a", "the tag has letters and digits only"},
    {"x CAA 0 issue", "the value is missing"},
    {"x HTTPS 0 . alpn=h2", "with priority 0 there are no parameters, as alpn=h2 is"},
    {"x HTTPS 1 . alpn", "alpn needs a value"},
    {"x HTTPS 1 . alpn=h2,", "alpn: an item of the list is empty, too long or has a bad escape"},
    {"x HTTPS 1 . no-default-alpn=x alpn=h2", "no-default-alpn takes no value"},
    {"x HTTPS 1 . no-default-alpn", "no-default-alpn needs alpn"},
    {"x HTTPS 1 . port=65536", "port: 65536 is no port"},
    {"x HTTPS 1 . ipv4hint=::1", "ipv4hint: ::1 is no IPv4 address"},
    {"x HTTPS 1 . ipv6hint=192.0.2.1", "ipv6hint: 192.0.2.1 is no IPv6 address"},
    {"x HTTPS 1 . ech=AQI", "ech: AQI is no base64"},
    {"x HTTPS 1 . port=1 port=2", "a parameter (key 3) is given twice"},
    {"x HTTPS 1 . mandatory=port", "mandatory lists a parameter (key 3) that is not given"},
    {"x HTTPS 1 . mandatory=port,key3 port=1", "mandatory lists a parameter (key 3) twice"},
    {"x HTTPS 1 . mandatory=mandatory", "mandatory: mandatory is no key that can be"},
    {"x HTTPS 1 . key65535=x",
     "key65535 is no parameter that is known here: write it as key and its number"},
    {"x HTTPS 1 . prot=1",
     "prot is no parameter that is known here: write it as key and its number"},
    {"x A \\# 3 c00002", "these octets are no data of type A"},
    {"x MX \\# 2 000a", "these octets are no data of type MX"},
    {"x A \\# 4 c000020", "the data has an odd number of hexadecimal digits"},
    {"x A \\# 5 c0000209", "the data has 4 octets, not 5 as it says"},
    {"x A \\# x", "behind \\# stands the number of octets, not x"},
    {"x A \\#", "behind \\# stands the number of octets, not nothing"},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
        struct text_record record;
        char why[TEXT_WHY_SIZE];
        if (bad_rows[i].name != *(const char **)*state)
            continue;
        assert_false(read_exact(&record, bad_rows[i].name, why));
        assert_string_equal(why, bad_rows[i].why);
    }
}

/* Not among the rows, whose texts are the names of cases: a report of tests is XML, which has no
 * such octets. */
static void test_other_octets_are_shown_as_question_marks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"x TXT \x01\xff.............................................. \"",
         "a quote that begins in \" has no end"},
        {"x A \x01\xff................................................",
         "??............................................. is no IPv4 address"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text_record record;
        char why[TEXT_WHY_SIZE];
        assert_false(read_exact(&record, rows[i].text, why));
        assert_string_equal(why, rows[i].why);
    }
}

static void test_data_of_any_length_ends_well(void **state)
{
    (void)state;
    static char text[3 * TEXT_DATA_MAX];
    for (size_t count = 1; count < 12; count++) {
        struct text_record record;
        char why[TEXT_WHY_SIZE];
        strcpy(text, "x TXT");
        for (size_t i = 0; i < count; i++) {
            strcat(text, " ");
            for (size_t k = 0; k < 255; k++)
                strcat(text, "a");
        }
        bool good = read_exact(&record, text, why);
        assert_int_equal(good, count * 256 <= TEXT_DATA_MAX);
        if (good)
            assert_int_equal(record.data_len, count * 256);
        else
            assert_string_equal(why, "the data is longer than 2048 octets");
    }
}

static void test_types_have_names(void **state)
{
    (void)state;
    char text[TEXT_TYPE_SIZE];
    assert_int_equal(text_type_write(65, text), 5);
    assert_string_equal(text, "HTTPS");
    assert_int_equal(text_type_write(65535, text), 9);
    assert_string_equal(text_rcode(RCODE_NXDOMAIN), "NXDOMAIN");
    assert_string_equal(text_rcode(11), "RCODE11");
    assert_string_equal(text_rcode(RCODE_BADVERS), "BADVERS");
    assert_string_equal(text_rcode(RCODE_BADCOOKIE), "BADCOOKIE");
    assert_string_equal(text_rcode(24), "another RCODE");
    assert_string_equal(text, "TYPE65535");
    assert_int_equal(text_type_read("aaaa", 4), 28);
    assert_int_equal(text_type_read("type28", 6), 28);
    assert_int_equal(text_type_read("", 0), 0);
    assert_int_equal(text_type_read("TYPE", 4), 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(good_rows) + COUNT_OF(bad_rows) + 3] = {
        cmocka_unit_test(test_other_octets_are_shown_as_question_marks),
        cmocka_unit_test(test_data_of_any_length_ends_well),
        cmocka_unit_test(test_types_have_names),
    };
    size_t count = 3;
    count +=
        tests_of_rows(tests + count, test_good, good_rows, sizeof *good_rows, COUNT_OF(good_rows));
    count += tests_of_rows(tests + count, test_bad, bad_rows, sizeof *bad_rows, COUNT_OF(bad_rows));
    assert_int_equal(count, COUNT_OF(tests));
    return _cmocka_run_group_tests("text", tests, count, NULL, NULL);
}
