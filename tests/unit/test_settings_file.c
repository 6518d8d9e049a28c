// SPDX-License-Identifier: MIT
#include "io/edge/arguments.h"
#include "io/edge/command.h"
#include "io/edge/manual.h"
#include "io/edge/resolv_conf.h"
#include "io/edge/settings_file.h"
#include "io/edge/settings_reference.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

// Reads and checks, as `ouzel check` does.
static int load(struct settings *settings, const char *text, size_t len,
                struct settings_report *report)
{
    char *copy = malloc(len ? len : 1); // of the exact size, for the sanitizer
    assert_non_null(copy);
    memcpy(copy, text, len);
    *report = (struct settings_report){0};
    assert_int_equal(settings_defaults(settings), 0);
    int error = settings_file_parse(settings, "test.yaml", copy, len, report);
    settings_file_check(settings, report);
    free(copy);
    return error;
}

static char *printed(const struct settings *settings)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    settings_print(settings, to);
    assert_int_equal(fclose(to), 0);
    return text;
}

// Takes the comments of `ouzel check` away.
static void cut_comments(char *text)
{
    char *to = text;
    bool comment = false;
    for (char *c = text; *c; c++) {
        comment = *c != '\n' && (comment || *c == '#');
        if (!comment && (*c != ' ' || c[1] != ' ' || (c > text && c[-1] == '\n')))
            *to++ = *c;
    }
    *to = '\0';
}

static const struct {
    const char *name;
    const char *text;
    uint32_t line;
    const char *piece; // of the message
} bad_files[] = {
    // Sections.
    {"unknown section with a near one", "sever:\n  workers: 1\n", 1,
     "there is no section \"sever\": did you mean server?"},
    {"unknown section with none near", "\n\nresolver:\n  a: 1\n", 3,
     "there are server, forward, upstream, cache, access, limits, local, filter, dns64, stats, "
     "control, log"},
    {"option outside its section", "workers: 4\n", 1, "the key belongs in section server"},
    {"section twice", "cache:\n  size: 1M\nlog:\n  level: info\ncache:\n  ttl-min: 1s\n", 5,
     "section cache is given twice, first on line 1"},
    {"section is a value", "# comment\nserver: fast\n", 2, "section server is a single value"},
    {"section is a list", "server:\n  - workers: 1\n", 2, "section server is a list"},
    {"forward is a mapping", "forward:\n  zone: .\n  to: 192.0.2.1\n", 2,
     "section forward is a mapping: give a list"},
    {"forward is empty", "forward: []\n", 1, "forward is an empty list"},
    {"file is a list", "- server\n", 1, "the file is a list: give sections"},
    {"file is a word", "\nserver\n", 2, "the file is a single value"},
    // Keys.
    {"unknown key with a near one", "server:\n  listen: 127.0.0.1\n  worker: 1\n", 3,
     "server has no key \"worker\": did you mean workers?"},
    {"underscores for hyphens", "server:\n  udp_payload_max: 1232\n", 2,
     "did you mean udp-payload-max?"},
    {"unknown key with none near", "log:\n  file: /var/log/ouzel\n", 2,
     "log has no key \"file\": its keys are level, format"},
    {"key of another section", "server:\n  ttl-max: 1h\n", 2,
     "server has no key \"ttl-max\": it belongs in section cache"},
    {"key in capitals", "cache:\n  Size: 1G\n", 2, "did you mean size?"},
    {"key twice", "cache:\n  size: 1M\n  ttl-min: 1s\n  size: 2M\n", 4,
     "cache.size is given twice, first on line 2"},
    {"key twice in an entry", "forward:\n  - to: 192.0.2.1\n    zone: .\n    to: 192.0.2.2\n", 4,
     "forward.to is given twice, first on line 2"},
    {"unknown key in an entry", "forward:\n  - to: 192.0.2.1\n    zones: a\n", 3,
     "did you mean zone?"},
    {"key is a list", "cache:\n  [a, b]: 1\n  size: 1M\n", 2, "a key is a list"},
    {"key is a mapping", "cache:\n  {a: b}: 1\n", 2, "a key is a mapping"},
    {"unknown key holds a tree", "cache:\n  siez: {a: [b, {c: d}], e: [[f]]}\n", 2,
     "did you mean size?"},
    {"key of control characters", "cache:\n  \"\\e[1m\": 1\n", 2, "\"\\x1b[1m\""},
    // Kinds of nodes.
    {"nothing behind a key", "cache:\n  size:\n  ttl-min: 1s\n", 2,
     "cache.size has no value: give a size from 1M"},
    {"nothing behind a list", "access:\n  allow:\nlog:\n", 2, "or [] for none"},
    {"nothing behind a list that needs an item", "server:\n  listen:\n", 2,
     "server.listen has no value: give an address"},
    {"list for a value", "server:\n  workers:\n    - 1\n", 3, "server.workers is a list"},
    {"mapping for a value", "cache:\n  size: {M: 1}\n", 2, "cache.size is a mapping"},
    {"mapping for a list", "server:\n  listen:\n    a: b\n", 3,
     "server.listen is a mapping: give a list, each item an address"},
    {"list in a list", "access:\n  allow:\n    - 10.0.0.0/8\n    - [192.0.2.0/24]\n", 4,
     "access.allow: an item is a list"},
    {"mapping in a list", "server:\n  listen:\n    - 127.0.0.1: 53\n", 3,
     "server.listen: an item is a mapping"},
    {"empty list that needs an item", "server:\n  listen: []\n", 2, "the list is empty"},
    {"entry is a value", "forward:\n  - 192.0.2.1\n", 2, "forward: an entry is a single value"},
    {"entry is a list", "forward:\n  - [192.0.2.1]\n", 2, "forward: an entry is a list"},
    // Values.
    {"value too small", "server:\n  udp-payload-max: 511\n", 2, "\"511\" is too small: give"},
    {"value too large", "server:\n  workers: 257\n", 2, "\"257\" is too large: give auto or"},
    {"zero workers", "server:\n  workers: 0\n", 2, "server.workers: \"0\" is too small"},
    {"size in lower case", "cache:\n  size: 256m\n", 2, "cache.size: \"256m\" is not valid"},
    {"size too small", "cache:\n  size: 512K\n", 2, "from 1M to 1024G"},
    {"duration without unit", "cache:\n  ttl-max: 86400\n", 2, "with its unit"},
    {"duration too long", "cache:\n  ttl-max: 8d\n", 2, "from 1s to 7d"},
    {"word misspelled", "log:\n  level: inof\n", 2, "log.level: \"inof\" is not valid: did you"},
    {"word unknown", "log:\n  format: xml\n", 2, "give one of logfmt, json"},
    {"value of two lines", "log:\n  level: |\n    info\n    debug\n", 2, "\\x0a"},
    {"address misspelled", "server:\n  listen: [127.0.0.1, 127.0.0.256]\n", 2,
     "server.listen: \"127.0.0.256\" is not valid"},
    {"address in a long list", "server:\n  listen:\n    - 127.0.0.1\n    - \"[::1]:53\"\n    - x\n",
     5, "\"x\" is not valid"},
    {"address twice", "server:\n  listen:\n    - 127.0.0.1\n    - 127.0.0.1:53\n", 4,
     "127.0.0.1:53 is in the list twice"},
    {"stats list", "stats:\n  listen: [127.0.0.1:9053]\n", 2, "stats.listen is a list"},
    {"host bits", "access:\n  allow: [10.0.0.1/8]\n", 2, "give 10.0.0.0/8"},
    {"prefix twice", "access:\n  drop:\n    - \"2001:db8::/32\"\n    - \"2001:DB8::/32\"\n", 4,
     "2001:db8::/32 is in the list twice"},
    {"tls upstream", "forward:\n  - to:\n      - 192.0.2.1\n      - tls://192.0.2.2\n", 4,
     "asks upstreams over UDP"},
    {"upstream with name", "forward:\n  - to: 192.0.2.2#dns.example\n", 2,
     "names a server for TLS"},
    {"upstream by name", "forward:\n  - to: dns.example\n", 2, "\"dns.example\" is not valid"},
    {"entry without servers", "forward:\n  - to: 192.0.2.1\n  - zone: corp.example\n", 3,
     "forward.to is missing in this entry"},
    {"bad zone", "forward:\n  - zone: a..b\n    to: 192.0.2.1\n", 2, "forward.zone: \"a..b\""},
    {"too many servers",
     "forward:\n  - to: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6,\n"
     "      192.0.2.7, 192.0.2.8, 192.0.2.9, 192.0.2.10, 192.0.2.11, 192.0.2.12,\n"
     "      192.0.2.13, 192.0.2.14, 192.0.2.15, 192.0.2.16,\n      192.0.2.17,\n"
     "      192.0.2.18, 192.0.2.19]\n",
     5, "forward.to: the list is too long: give 16 at most"},
    // What no single value shows.
    {"ttl bounds cross", "cache:\n  ttl-max: 10m\n  ttl-min: 30m\n", 3,
     "cache.ttl-min (30m) is longer than cache.ttl-max (10m)"},
    {"zone twice",
     "forward:\n  - to: 192.0.2.1\n  - zone: a.example\n    to: 192.0.2.1\n"
     "  - zone: A.example.\n    to: 192.0.2.2\n",
     5, "\"A.example.\" is given twice, first on line 3"},
    {"root zone twice", "forward:\n  - to: 192.0.2.1\n  - to: 192.0.2.2\n", 3,
     "\".\" is given twice, first on line 2"},
    {"prefix in two lists",
     "access:\n  allow: [10.0.0.0/8]\n  drop: [192.0.2.0/24]\n  refuse: [192.0.2.0/24]\n", 4,
     "access.refuse and access.drop both hold 192.0.2.0/24"},
    {"prefix in a default list", "access:\n  drop: [10.0.0.0/8]\n", 2,
     "access.allow (by default) and access.drop both hold 10.0.0.0/8"},
    {"server asks itself",
     "server:\n  listen: 127.0.0.1\nforward:\n  - to: [192.0.2.1, 127.0.0.1]\n", 4,
     "forward.to: 127.0.0.1:53 is this server itself"},
    // YAML that is refused.
    {"anchor", "cache:\n  size: &big 1G\n", 2, "an anchor (&big) is not supported"},
    {"anchor on a section", "cache: &c\n  size: 1G\n", 1, "an anchor (&c) is not supported"},
    {"anchor on an item", "access:\n  drop: [&d 192.0.2.0/24]\n", 2, "an anchor (&d)"},
    {"alias", "cache:\n  size: *big\n", 2, "an alias (*big) is not supported"},
    {"alias for a section", "cache: *c\n", 1, "an alias (*c) is not supported"},
    {"alias for an item", "access:\n  drop: [*d]\n", 2, "an alias (*d) is not supported"},
    {"alias for an entry", "forward:\n  - to: 192.0.2.1\n  - *e\n", 3, "an alias (*e)"},
    {"alias for a key", "cache:\n  *k : 1\n", 2, "an alias (*k) is not supported"},
    {"alias for the file", "*file\n", 1, "an alias (*file)"},
    {"tag", "server:\n  workers: !!int 4\n", 2, "a tag (\"tag:yaml.org,2002:int\")"},
    {"tag of one's own", "server: !mine\n  workers: 4\n", 1, "a tag (\"!mine\")"},
    {"merge key", "cache:\n  <<: {size: 1M}\n", 2, "cache has no key \"<<\""},
    {"second document", "cache:\n  size: 1M\n---\nlog:\n  level: info\n", 3,
     "a second document begins here"},
    {"second document, empty", "---\n...\n---\n", 3, "a second document begins here"},
    // What is no YAML.
    {"list not closed", "server:\n  listen: [127.0.0.1,\n    127.0.0.2\n", 4, "this is not YAML"},
    {"quotes not closed", "server:\n  listen: \"127.0.0.1\n", 3, "this is not YAML"},
    {"tab", "server:\n\tworkers: 1\n", 2, "indent with spaces, not with tabs"},
    {"indentation", "server:\n  workers: 1\n listen: 127.0.0.1\n", 3, "this is not YAML"},
    {"colon without space", "server:\n  workers:1\n", 2, "with a space after each colon"},
    {"brackets without quotes", "server:\n  listen:\n    - [::1]:53\n", 3,
     "put an IPv6 address between quotes"},
    {"IPv6 in a flow list", "server:\n  listen: [127.0.0.1, ::1]\n", 2,
     "put an IPv6 address between quotes"},
    {"control character", "server:\n  workers: 1\n  \x01listen: a\n", 3,
     "this is not YAML: control characters are not allowed"},
    {"no UTF-8", "server:\n  workers: \xff\n", 2, "this is not YAML"},
    // Local names.
    {"record without data", "local:\n  records:\n    - x. A 192.0.2.1\n    - x. A\n", 4,
     "local.records: \"x. A\" is not valid: the IPv4 address is missing"},
    {"record that is none", "local:\n  records: printer\n", 2,
     "local.records: \"printer\" is not valid: the type is missing"},
    {"record with a NUL", "local:\n  records: [\"x. TXT \\0\"]\n", 2, "has a NUL in it"},
    {"records are a mapping", "local:\n  records:\n    x: A\n", 3, "local.records is a mapping"},
    {"file twice", "local:\n  block: [/a, /b, /a]\n", 2,
     "\"/a\" is in the list twice: give it once"},
    {"interface twice", "server:\n  xdp: [eth0, eth1/driver, eth0/generic]\n", 2,
     "\"eth0/generic\" is in the list twice: give it once"},
    {"no path", "local:\n  hosts: [\"\"]\n", 2, "\"\" is not valid: give a file's path"},
    {"no answer", "local:\n  block-answer: nxdomian\n", 2, "did you mean nxdomain?"},
    // What the server says of itself.
    {"identity with a tab", "server:\n  identity: \"a\\tb\"\n", 2,
     "server.identity: \"a\\x09b\" is not valid: give up to 63 printable ASCII characters, or off"},
    {"identity of nothing", "server:\n  identity: \"\"\n", 2, "give up to 63 printable"},
    {"identity that is too long",
     "server:\n  identity: a123456789b123456789c123456789d123456789e123456789f123456789g123\n", 2,
     "give up to 63 printable"},
    {"identity in another script", "server:\n  identity: größe\n", 2, "give up to 63 printable"},
    {"no yes or no", "server:\n  workers: 1\n  sandbox: ja\n", 3,
     "server.sandbox: \"ja\" is not valid: give true or false"},
    {"no answer to ANY", "server:\n  any: hinof\n", 2, "did you mean hinfo?"},
    // Filters.
    {"name that is none", "filter:\n  rebind-allow: [a..b]\n", 2,
     "\"a..b\" is not valid: give a domain name"},
    {"prefix with a host's bits", "dns64:\n  prefix: 64:ff9b::1/96\n", 2, "give 64:ff9b::/96"},
    {"prefix without room", "dns64:\n  enable: true\n  prefix: 2001:db8::/80\n", 3,
     "dns64.prefix: 2001:db8::/80 cannot hold an IPv4 address"},
    {"prefix of IPv4", "dns64:\n  prefix: 192.0.2.0/24\n", 2, "cannot hold an IPv4 address"},
    {"prefix with bit 64", "dns64:\n  prefix: 2001:db8:0:0:100::/96\n", 2,
     "with zeros from bit 64 to 71"},
    {"undefined tag handle", "cache:\n  size: !x!y 1M\n", 2, "this is not YAML"},
};

static void test_bad_file_is_refused_with_line_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
        struct settings settings;
        static struct settings_report report;
        load(&settings, bad_files[i].text, strlen(bad_files[i].text), &report);
        settings_free(&settings);
        if (report.count != 1)
            settings_report_print(&report, stderr);
        if (report.count != 1)
            fail_msg("%s: %zu errors", bad_files[i].name, report.count);
        if (report.errors[0].line != bad_files[i].line ||
            !strstr(report.errors[0].text, bad_files[i].piece))
            fail_msg("%s: line %u: %s", bad_files[i].name, report.errors[0].line,
                     report.errors[0].text);
    }
}

// A file that is cut anywhere is read or refused, but never harms.
static void test_every_beginning_of_a_bad_file_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
        for (size_t len = 0; len < strlen(bad_files[i].text); len++) {
            struct settings settings;
            static struct settings_report report;
            load(&settings, bad_files[i].text, len, &report);
            settings_free(&settings);
        }
    }
}

static const char *const good_files[] = {
    "",
    "\n",
    "# only a comment\n",
    "---\n",
    "---\n...\n",
    "{}\n",
    "%YAML 1.1\n---\nlog:\n  level: debug\n",
    "\xef\xbb\xbflog:\n  level: debug\n", // a byte order mark
    "server:\ncache:\nforward:\nlog:\n",  // all keys commented out
    "server: {}\n",
    "server: {workers: auto, listen: 127.0.0.1}\n",
    "server:\n  listen: 0.0.0.0\n",
    "server:\n  listen: ::1\n",
    "server:\n  listen: [127.0.0.1:53, \"[::1]:53\"]\n",
    "server:\n  listen:\n  - 127.0.0.1@5300\n  - '::1'\n",
    "server:\r\n  workers: \"2\"\r\n",
    "stats:\n  listen: off\n",
    "access:\n  allow: []\n  refuse: 192.0.2.0/24\n  drop: [\"2001:db8::/32\"]\n",
    "access: {allow: 0.0.0.0/0}\n",
    "cache:\n  size: 2G\n  ttl-min: 1h\n  ttl-max: 1h\n  ttl-negative-max: 0\n",
    "forward:\n  - to: [192.0.2.53, 192.0.2.54:5353, \"udp://[2001:db8::53]\"]\n"
    "  - zone: corp.example\n    to: 10.0.0.53\n    strategy: ordered\n"
    "  - {zone: \"we\\\\032ird.example\", to: [10.0.0.54], strategy: random}\n"
    "  - {zone: \"it's\\\\\\\\.example\", to: [10.0.0.54]}\n",
};

static void test_good_file_prints_as_one_that_means_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_files); i++) {
        struct settings settings;
        struct settings again;
        static struct settings_report report;
        int error = load(&settings, good_files[i], strlen(good_files[i]), &report);
        if (error || report.count)
            fail_msg("%s: %s", good_files[i], report.errors[0].text);
        char *text = printed(&settings);
        error = load(&again, text, strlen(text), &report);
        if (error || report.count)
            fail_msg("line %u: %s\n%s", report.errors[0].line, report.errors[0].text, text);
        char *text_again = printed(&again);
        cut_comments(text);
        cut_comments(text_again);
        assert_string_equal(text_again, text);
        free(text);
        free(text_again);
        settings_free(&settings);
        settings_free(&again);
    }
}

static const char design_sample[] = "server:\n"
                                    "  listen: [127.0.0.1:53, \"[::1]:53\"]\n"
                                    "  workers: 3\n"
                                    "  udp-payload-max: 1400\n"
                                    "forward:\n"
                                    "  - zone: .\n"
                                    "    to: [192.0.2.53, 192.0.2.54:5353]\n"
                                    "  - zone: corp.example\n"
                                    "    to: 10.0.0.53\n"
                                    "    strategy: random\n"
                                    "cache:\n"
                                    "  size: 1G\n"
                                    "  ttl-max: 12h\n"
                                    "access:\n"
                                    "  refuse: [192.0.2.0/24]\n"
                                    "stats:\n"
                                    "  listen: off\n"
                                    "log:\n"
                                    "  level: warning\n"
                                    "  format: json\n";

static void test_values_and_their_origins_arrive(void **state)
{
    (void)state;
    struct settings s;
    static struct settings_report report;
    assert_int_equal(load(&s, design_sample, sizeof design_sample - 1, &report), 0);
    assert_int_equal(report.count, 0);
    assert_string_equal(s.file, "test.yaml");
    assert_int_equal(s.server_listen.count, 2);
    assert_int_equal(s.server_listen.items[1].family, ADDRESS_IPV6);
    assert_int_equal(s.server_workers, 3);
    assert_int_equal(s.server_udp_payload_max, 1400);
    assert_int_equal(s.cache_size, 1 << 30);
    assert_int_equal(s.cache_ttl_max, 12 * 3600 * 1000);
    assert_int_equal(s.cache_ttl_negative_max, 3600 * 1000);
    assert_int_equal(s.access_allow.count, 9);
    assert_int_equal(s.access_refuse.count, 1);
    assert_int_equal(s.access_refuse.items[0].length, 24);
    assert_int_equal(s.stats_listen.family, ADDRESS_NONE);
    assert_int_equal(s.log_level, 1);
    assert_int_equal(s.log_format, 1);
    assert_int_equal(s.forward.count, 2);
    assert_int_equal(s.forward.items[0].zone.len, 1);
    assert_int_equal(s.forward.items[0].to.count, 2);
    assert_int_equal(s.forward.items[0].to.items[0].address.port, 53);
    assert_int_equal(s.forward.items[0].to.items[1].address.port, 5353);
    assert_int_equal(s.forward.items[1].zone.len, 14);
    assert_int_equal(s.forward.items[1].strategy, FORWARD_RANDOM);
    assert_int_equal(s.origins[OPTION_cache_size].source, SOURCE_FILE);
    assert_int_equal(s.origins[OPTION_cache_size].line, 12);
    assert_int_equal(s.origins[OPTION_cache_ttl_min].source, SOURCE_DEFAULT);
    assert_int_equal(s.forward.items[0].origins[ZONE_strategy].source, SOURCE_DEFAULT);
    assert_int_equal(s.forward.items[1].origins[ZONE_strategy].source, SOURCE_FILE);
    assert_int_equal(s.forward.items[1].origins[ZONE_strategy].line, 10);
    settings_free(&s);
}

static void test_every_error_is_reported_and_many_are_counted(void **state)
{
    (void)state;
    struct settings s;
    static struct settings_report report;
    char *text = NULL;
    size_t size = 0;
    static const char several[] = "server:\n  workers: x\n  lisen: a\nlgo:\ncache:\n  size: 1\n";
    assert_int_equal(load(&s, several, sizeof several - 1, &report), -EINVAL);
    assert_int_equal(report.count, 4);
    assert_int_equal(report.errors[0].line, 2);
    assert_int_equal(report.errors[1].line, 3);
    assert_int_equal(report.errors[2].line, 4);
    assert_int_equal(report.errors[3].line, 6);
    settings_free(&s);

    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    fputs("access:\n  drop:\n", to);
    for (int i = 0; i < 25; i++)
        fprintf(to, "    - bad%d\n", i);
    fclose(to);
    assert_int_equal(load(&s, text, size, &report), -EINVAL);
    settings_free(&s);
    free(text);
    assert_int_equal(report.count, 25);
    to = open_memstream(&text, &size);
    assert_non_null(to);
    settings_report_print(&report, to);
    fclose(to);
    assert_memory_equal(text, "test.yaml:3: access.drop: \"bad0\" is not valid", 45);
    assert_non_null(strstr(text, "test.yaml:22: access.drop: \"bad19\""));
    assert_null(strstr(text, "bad20"));
    assert_non_null(strstr(text, "ouzel: and 5 more\n"));
    free(text);
}

static void make_file(char path[static 32], const char *text, size_t len)
{
    snprintf(path, 32, "/tmp/ouzel-test-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, len), len);
    close(file);
}

static void test_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct settings s;
    static struct settings_report report;
    char path[32];
    char *large = malloc(SETTINGS_FILE_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', SETTINGS_FILE_MAX + 1);
    report = (struct settings_report){0};
    assert_int_equal(settings_defaults(&s), 0);
    assert_int_equal(settings_file_read(&s, "/no/such/file", &report), -ENOENT);
    assert_string_equal(report.errors[0].text,
                        "/no/such/file cannot be read: No such file or directory");
    assert_int_equal(settings_file_read(&s, "/tmp", &report), -EISDIR);
    make_file(path, large, SETTINGS_FILE_MAX + 1);
    assert_int_equal(settings_file_read(&s, path, &report), -EFBIG);
    assert_non_null(strstr(report.errors[2].text, "has 16 MB at most"));
    assert_int_equal(truncate(path, (off_t)SETTINGS_FILE_MAX), 0);
    assert_int_equal(settings_file_read(&s, path, &report), 0);
    assert_int_equal(report.count, 3);
    assert_int_equal(s.server_listen.count, 1); // the defaults are untouched
    unlink(path);
    settings_free(&s);
    free(large);
}

static const struct {
    const char *text;
    size_t count;
    size_t skipped;
    const char *first;
} resolv_confs[] = {
    {"", 0, 0, ""},
    {"nameserver 192.0.2.1\n", 1, 0, "192.0.2.1:53"},
    {"nameserver 192.0.2.1", 1, 0, "192.0.2.1:53"},
    {"nameserver\t 192.0.2.1 \t# ours\r\n", 1, 0, "192.0.2.1:53"},
    {"# nameserver 192.0.2.9\n; x\nsearch a.example\noptions rotate\nnameserver ::1\n", 1, 0,
     "[::1]:53"},
    {"nameserver fe80::1%1\n", 1, 0, "[fe80::1%1]:53"},
    {"nameserver fe80::1%lo\n", 1, 0, "[fe80::1%1]:53"},
    {"nameserver fe80::1%nosuchlink\n", 0, 1, ""},
    {"nameservers 192.0.2.1\n nameserver 192.0.2.2\nNAMESERVER 192.0.2.3\n", 0, 0, ""},
    {"nameserver\nnameserver \nnameserver x\nnameserver 192.0.2.4\n", 1, 3, "192.0.2.4:53"},
    {"nameserver 192.0.2.1\nnameserver 192.0.2.1\n", 1, 1, "192.0.2.1:53"},
    {"nameserver 0.0.0.0\n", 0, 1, ""},
    {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"
     "nameserver 192.0.2.5\nnameserver 192.0.2.6\nnameserver 192.0.2.7\nnameserver 192.0.2.8\n"
     "nameserver 192.0.2.9\n",
     8, 1, "192.0.2.1:53"},
};

static void test_resolv_conf_gives_its_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(resolv_confs); i++) {
        struct endpoint_list list = {0};
        size_t skipped;
        char path[32];
        char text[ADDRESS_TEXT_MAX] = "";
        make_file(path, resolv_confs[i].text, strlen(resolv_confs[i].text));
        assert_int_equal(resolv_conf_read(path, &list, &skipped), 0);
        assert_int_equal(list.count, resolv_confs[i].count);
        assert_int_equal(skipped, resolv_confs[i].skipped);
        if (list.count > 0)
            address_format(&list.items[0].address, text);
        assert_string_equal(text, resolv_confs[i].first);
        unlink(path);
        free(list.items);
    }
}

static void test_resolv_conf_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct endpoint_list list = {0};
    size_t skipped;
    assert_int_equal(resolv_conf_read("/no/such/file", &list, &skipped), -ENOENT);
    assert_int_equal(resolv_conf_read("/tmp", &list, &skipped), -EISDIR);
    assert_int_equal(list.count, 0);
    assert_int_equal(skipped, 0);
}

// A command line, split at spaces; CONFIG stands for a file's name.
static int load_line(struct settings *settings, const char *line, char *config, char **errors)
{
    char text[512];
    char *argv[32];
    int argc = 0;
    size_t size = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "CONFIG") == 0 ? config : word;
    argv[argc] = NULL;
    FILE *to = open_memstream(errors, &size);
    assert_non_null(to);
    int status = settings_load(settings, argc, argv, to);
    fclose(to);
    return status;
}

static const struct {
    const char *line;
    const char *errors;
} bad_lines[] = {
    {"serve --listen", "ouzel: --listen needs a value\nSee `ouzel help serve`.\n"},
    {"check --wrokers 3",
     "ouzel: there is no option \"--wrokers\": did you mean --workers?\nSee `ouzel help check`.\n"},
    {"serve --wrokers=3",
     "ouzel: there is no option \"--wrokers=3\": did you mean --workers?\nSee"},
    {"serve --list 192.0.2.1", "ouzel: there is no option \"--list\": did you mean --listen?\nSee"},
    {"serve --worker=2", "ouzel: there is no option \"--worker=2\": did you mean --workers?\nSee"},
    {"serve -c ouzel.yaml", "ouzel: there is no option \"-c\"\nSee"},
    {"serve ouzel.yaml", "ouzel: \"ouzel.yaml\" is not expected here: a file is named with"},
    {"serve --workers 1 --workers 2", "ouzel: --workers is given twice: keep one\n"},
    {"serve --config a --config b", "ouzel: --config is given twice: keep one\n"},
    {"serve --config /no/such/file", "ouzel: /no/such/file cannot be read: No such file"},
    {"serve --upstream 192.0.2.1 --workers x",
     "ouzel: --workers: \"x\" is not valid: give auto or a whole number from 1 to 256\n"},
    {"serve --upstream tls://192.0.2.1",
     "ouzel: --upstream: \"tls://192.0.2.1\" asks for DNS over TLS"},
    {"serve --upstream 192.0.2.1 --upstream 192.0.2.1",
     "ouzel: --upstream: 192.0.2.1:53 is in the list twice: give it once\n"},
    {"serve --stats none --upstream 192.0.2.1", "ouzel: --stats: \"none\" is not valid"},
    {"serve --upstream 127.0.0.1:5353", "ouzel: forward.to: 127.0.0.1:5353 is this server itself"},
    {"serve --listen=127.0.0.1 --listen=127.0.0.1 --upstream 192.0.2.1",
     "ouzel: --listen: 127.0.0.1:53 is in the list twice"},
};

static void test_bad_command_line_is_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_lines); i++) {
        struct settings s;
        char *errors;
        assert_int_equal(load_line(&s, bad_lines[i].line, NULL, &errors), STATUS_USAGE);
        if (strncmp(errors, bad_lines[i].errors, strlen(bad_lines[i].errors)) != 0)
            fail_msg("%s: %s", bad_lines[i].line, errors);
        free(errors);
    }
}

static void test_command_line_overrides_the_file(void **state)
{
    (void)state;
    struct settings s;
    char *errors;
    char path[32];
    make_file(path, design_sample, sizeof design_sample - 1);
    assert_int_equal(load_line(&s,
                               "serve --workers=7 --listen 192.0.2.7 --config CONFIG "
                               "--listen=[2001:db8::7]:5353 --upstream 192.0.2.99 --stats :bad",
                               path, &errors),
                     STATUS_USAGE);
    assert_memory_equal(errors, "ouzel: --stats: \":bad\"", 22);
    free(errors);
    assert_int_equal(load_line(&s,
                               "serve --workers=7 --listen 192.0.2.7 --config CONFIG "
                               "--listen=[2001:db8::7]:5353 --upstream 192.0.2.99 "
                               "--stats=192.0.2.7",
                               path, &errors),
                     0);
    assert_string_equal(errors, "");
    assert_int_equal(s.server_workers, 7);
    assert_int_equal(s.origins[OPTION_server_workers].source, SOURCE_COMMAND_LINE);
    assert_int_equal(s.server_listen.count, 2);
    assert_int_equal(s.server_listen.items[0].port, 53);
    assert_int_equal(s.server_listen.items[1].port, 5353);
    assert_int_equal(s.stats_listen.port, 9053);
    assert_int_equal(s.forward.count, 2); // the zone of the file is left as it is
    assert_int_equal(s.forward.items[0].to.count, 1);
    assert_int_equal(s.forward.items[0].to.items[0].address.ip[3], 99);
    assert_int_equal(s.forward.items[1].to.items[0].address.ip[3], 53);
    assert_int_equal(s.server_udp_payload_max, 1400);
    char *text = printed(&s);
    assert_non_null(strstr(text, "  workers: 7                                    # command line"));
    assert_non_null(strstr(text, ":12\n"));
    free(text);
    free(errors);
    settings_free(&s);
    unlink(path);
}

static void test_upstream_alone_makes_the_zone_of_all_names(void **state)
{
    (void)state;
    struct settings s;
    char *errors;
    assert_int_equal(load_line(&s,
                               "serve --upstream 192.0.2.1 --upstream 192.0.2.2:5353 --stats off",
                               NULL, &errors),
                     0);
    assert_string_equal(errors, "");
    assert_null(s.file);
    assert_int_equal(s.forward.count, 1);
    assert_int_equal(s.forward.items[0].zone.len, 1);
    assert_int_equal(s.forward.items[0].to.count, 2);
    assert_int_equal(s.stats_listen.family, ADDRESS_NONE);
    free(errors);
    settings_free(&s);
}

static char *made(void (*help)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    help(to);
    fclose(to);
    return text;
}

// The tree is where OUZEL_SOURCE says, else the current directory.
static void compare_with_tree(const char *path, void (*help)(FILE *))
{
    const char *source = getenv("OUZEL_SOURCE");
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", source ? source : ".", path);
    FILE *file = fopen(full, "re");
    if (!file)
        skip();
    char *text = made(help);
    size_t size = strlen(text) + 2;
    char *kept = calloc(1, size);
    assert_non_null(kept);
    kept[fread(kept, 1, size - 1, file)] = '\0';
    fclose(file);
    if (strcmp(kept, text) != 0)
        fail_msg("%s is not what ouzel prints: make it with scripts/documents", path);
    free(kept);
    free(text);
}

static void test_reference_in_the_tree_is_the_one_made(void **state)
{
    (void)state;
    compare_with_tree("docs/reference.md", help_settings);
}

static void test_sample_in_the_tree_is_the_one_made(void **state)
{
    (void)state;
    compare_with_tree("docs/ouzel.yaml.sample", help_sample);
}

static void test_manual_in_the_tree_is_the_one_made(void **state)
{
    (void)state;
    compare_with_tree("docs/ouzel.yaml.5", help_manual_settings);
}

static void test_sample_is_a_file_of_defaults(void **state)
{
    (void)state;
    struct settings s;
    struct settings defaults;
    static struct settings_report report;
    char *sample = made(help_sample);
    assert_int_equal(load(&s, sample, strlen(sample), &report), 0);
    assert_int_equal(report.count, 0);
    settings_free(&s);
    // With every setting's # taken away it names all defaults. A remark has one space behind its #.
    char *to = sample;
    for (char *c = sample; *c; c++)
        if (*c != '#' || (c[1] == ' ' && c[2] != ' '))
            *to++ = *c;
    *to = '\0';
    if (load(&s, sample, strlen(sample), &report))
        fail_msg("line %u: %s", report.errors[0].line, report.errors[0].text);
    assert_int_equal(s.forward.count, 1);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        assert_int_equal(s.origins[i].source, SOURCE_FILE);
    assert_int_equal(settings_defaults(&defaults), 0);
    while (s.forward.count > 0)
        free(s.forward.items[--s.forward.count].to.items);
    char *text = printed(&s);
    char *text_defaults = printed(&defaults);
    cut_comments(text);
    cut_comments(text_defaults);
    assert_string_equal(text, text_defaults);
    free(text);
    free(text_defaults);
    free(sample);
    settings_free(&s);
    settings_free(&defaults);
}

static const struct {
    const char *text;
    const char *quoted;
} scalars[] = {
    {"auto", "auto"},
    {".", "."},
    {"10.0.0.0/8", "10.0.0.0/8"},
    {"127.0.0.1:53", "127.0.0.1:53"},
    {"::1/128", "\"::1/128\""},
    {"[::1]:53", "\"[::1]:53\""},
    {"", "\"\""},
    {"-", "\"-\""},
    {"a:", "\"a:\""},
    {"a b", "\"a b\""},
    {"a\\032b", "'a\\032b'"},
    {"it's\\.", "'it''s\\.'"},
    {"it's", "\"it's\""},
};

static void test_scalars_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        char quoted[YAML_TEXT_SIZE];
        assert_int_equal(yaml_quote(quoted, scalars[i].text), strlen(scalars[i].quoted));
        assert_string_equal(quoted, scalars[i].quoted);
    }
}

static void test_local_names_are_read_and_printed(void **state)
{
    (void)state;
    struct settings settings;
    static struct settings_report report;
    static const char text[] = "local:\n"
                               "  hosts: /etc/hosts\n"
                               "  records:\n"
                               "    - printer.lan. 300 A 192.0.2.9\n"
                               "    - 'x TXT \"a b\" \\\"'\n"
                               "    - printer.lan. 300 A 192.0.2.9\n"
                               "  block: [/a, off]\n";
    load(&settings, text, sizeof text - 1, &report);
    assert_int_equal(report.count, 0);
    assert_int_equal(settings.local_hosts.count, 1);
    assert_string_equal(settings.local_hosts.items[0].text, "/etc/hosts");
    assert_int_equal(settings.local_records.count, 3);
    assert_string_equal(settings.local_records.items[1].text, "x TXT \"a b\" \\\"");
    assert_int_equal(settings.local_block.count, 2);
    assert_string_equal(settings.local_block.items[1].text, "off");
    assert_int_equal(settings.local_records.items[2].line, 6);
    assert_int_equal(settings.local_block.items[1].line, 7);
    assert_true(settings.local_special_names);
    settings_free(&settings);
    assert_int_equal(settings.local_records.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_names_are_read_and_printed),
        cmocka_unit_test(test_bad_file_is_refused_with_line_and_reason),
        cmocka_unit_test(test_every_beginning_of_a_bad_file_is_survived),
        cmocka_unit_test(test_good_file_prints_as_one_that_means_the_same),
        cmocka_unit_test(test_values_and_their_origins_arrive),
        cmocka_unit_test(test_every_error_is_reported_and_many_are_counted),
        cmocka_unit_test(test_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(test_resolv_conf_gives_its_servers),
        cmocka_unit_test(test_resolv_conf_that_cannot_be_read_is_an_error),
        cmocka_unit_test(test_bad_command_line_is_refused_with_a_reason),
        cmocka_unit_test(test_command_line_overrides_the_file),
        cmocka_unit_test(test_upstream_alone_makes_the_zone_of_all_names),
        cmocka_unit_test(test_reference_in_the_tree_is_the_one_made),
        cmocka_unit_test(test_sample_in_the_tree_is_the_one_made),
        cmocka_unit_test(test_manual_in_the_tree_is_the_one_made),
        cmocka_unit_test(test_sample_is_a_file_of_defaults),
        cmocka_unit_test(test_scalars_are_quoted_where_they_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
