// SPDX-License-Identifier: MIT
// What settings_load says of files: faults that only the system can show, and what is allowed and
// most likely not meant.
#include "io/edge/arguments.h"
#include "io/edge/command.h"
#include "io/edge/settings_file.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MARK  "\xef\xbb\xbf"
#define ROOT  "forward:\n  - to: [192.0.2.1]\n"
#define WORLD "access:\n  allow: [192.0.2.0/24, 0.0.0.0/0]\n"

static const struct row {
    const char *name, *text, *said; // "": nothing
    int status;
} rows[] = {
    {"nothing", ROOT, "", 0},
    {"byte order mark", MARK ROOT, "", 0},
    {"user that is not there", ROOT "server:\n  user: nosuch-user\n",
     ":4: server.user: there is no user nosuch-user\n", STATUS_USAGE},
    {"port of TLS", "forward:\n  - to: [\"192.0.2.1:853\"]\n",
     ":2: warning: forward.to: 192.0.2.1:853 is the port of DNS over TLS", 0},
    {"port of HTTPS", "forward:\n  - to: [192.0.2.2, \"[2001:db8::1]:443\"]\n",
     ":2: warning: forward.to: [2001:db8::1]:443 is the port of DNS over HTTPS", 0},
    {"no zone for all names", "forward:\n  - zone: corp.example\n    to: [192.0.2.1]\n",
     ":2: warning: forward has no entry for all names (zone: .)", 0},
    {"all addresses", ROOT WORLD,
     ":4: warning: access.allow has all addresses and limits has no limit", 0},
    {"all of IPv6", ROOT "access:\n  allow: [\"::/0\"]\n",
     ":4: warning: access.allow has all addresses", 0},
    {"all addresses within one limit", ROOT WORLD "limits:\n  client-qps: 100\n",
     ":4: warning: access.allow has all addresses", 0},
    {"all addresses within limits", ROOT WORLD "limits:\n  client-qps: 100\n  same-answers: 50\n",
     "", 0},
    {"half the world", ROOT "access:\n  allow: [0.0.0.0/1]\n", "", 0},
    {"interface by its name", "forward:\n  - to: [\"fe80::1%lo\"]\n", "", 0},
    {"interface by its name, with a port", "forward:\n  - to: [\"[fe80::1%lo]:5353\"]\n", "", 0},
    {"interface by its name, with a port behind @", "forward:\n  - to: [\"fe80::1%lo@5353\"]\n", "",
     0},
    {"interface that is not there", "forward:\n  - to: [\"fe80::1%nosuch0\"]\n",
     ":2: forward.to: \"fe80::1%nosuch0\": there is no interface of that name\n", STATUS_USAGE},
    {"interface of a name that is too long",
     "forward:\n  - to: [\"fe80::1%a-name-much-too-long\"]\n",
     ":2: forward.to: \"fe80::1%a-name-much-too-long\": there is no interface", STATUS_USAGE},
    {"no interface", "forward:\n  - to: [\"fe80::1%\"]\n",
     ":2: forward.to: \"fe80::1%\" is not valid", STATUS_USAGE},
    {"interface of an address that has none", "forward:\n  - to: [\"2001:db8::1%lo\"]\n",
     ":2: forward.to: \"2001:db8::1%1\" is not valid", STATUS_USAGE},
};

static void scope_check(const struct settings *settings)
{
    const struct address *to = &settings->forward.items[0].to.items[0].address;
    if (to->family == ADDRESS_IPV6 && to->ip[0] == 0xfe)
        assert_int_equal(to->scope, if_nametoindex("lo"));
}

static void test_row(void **state)
{
    const struct row *row = *state;
    struct settings settings;
    char path[] = "/tmp/ouzel-said-XXXXXX", wanted[256], *said = NULL;
    char *argv[] = {(char[]){"check"}, (char[]){"--config"}, path, NULL};
    size_t len = 0;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, row->text, strlen(row->text)), strlen(row->text));
    close(fd);
    FILE *to = open_memstream(&said, &len);
    int status = settings_load(&settings, 3, argv, to);
    fclose(to);
    unlink(path);
    snprintf(wanted, sizeof wanted, "%s%s", *row->said ? path : "", row->said);
    if (*row->said ? strncmp(said, wanted, strlen(wanted)) != 0 : *said != '\0')
        fail_msg("it says: %s", said);
    free(said);
    assert_int_equal(status, row->status);
    if (status != 0)
        return;
    scope_check(&settings);
    settings_free(&settings);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = test_row,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
