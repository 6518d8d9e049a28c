// SPDX-License-Identifier: MIT
#include "io/edge/arguments.h"

#include "core/settings/check.h"
#include "core/settings/format.h"
#include "core/settings/suggest.h"
#include "io/edge/cookie_file.h"
#include "io/edge/regular_file.h"
#include "io/edge/resolv_conf.h"
#include "io/edge/settings_file.h"
#include "io/edge/user.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <sys/un.h>

// The command line is read twice: once for its form and the name of the file, once for the values
// when the file has been read, since the command line wins wherever --config stands in it.

#define EXIT_USAGE 2

struct argument {
    const char *name;
    const char *value; // what stands for the value in the help
    bool repeatable;
    const char *section; // of the setting it overrides; NULL: none
    const char *key;
    const char *help;
};

static const struct argument arguments[] = {
    {"config", "FILE", false, NULL, NULL, "read the settings from this YAML file"},
    {"listen", "ADDR", true, "server", "listen",
     "answer on this address (default port 53); repeatable"},
    {"upstream", "ADDR", true, "forward", "to",
     "forward all names that no zone of the file covers to this server; repeatable"},
    {"workers", "N", false, "server", "workers", "how many workers to run, or auto"},
    {"stats", "ADDR", false, "stats", "listen", "serve the metrics on this address, or off"},
    {"control", "PATH", false, "control", "socket", "accept orders of `ouzel ctl` on this socket"},
};

#define ARGUMENTS    (sizeof arguments / sizeof arguments[0])
#define FIRST_OPTION 256 // getopt's value of arguments[0]: no letter has it

struct loading {
    struct settings *settings;
    struct settings_report report;
    int argc;
    char **argv;
    const char *config; // NULL: none
    bool usage;         // something is wrong with the form of the command line
    bool seen[ARGUMENTS];
};

void arguments_print(FILE *to)
{
    for (size_t i = 0; i < ARGUMENTS; i++)
        fprintf(to, "  --%s %-*s %s\n", arguments[i].name, (int)(14 - strlen(arguments[i].name)),
                arguments[i].value, arguments[i].help);
}

void arguments_names(FILE *to)
{
    for (size_t i = 0; i < ARGUMENTS; i++)
        fprintf(to, "%s--%s", i ? " " : "", arguments[i].name);
}

static int next_argument(int argc, char **argv)
{
    struct option options[ARGUMENTS + 1] = {0};
    for (size_t i = 0; i < ARGUMENTS; i++)
        options[i] = (struct option){
            .name = arguments[i].name, .has_arg = required_argument, .val = FIRST_OPTION + (int)i};
    opterr = 0;
    return getopt_long(argc, argv, ":", options, NULL);
}

static void tell_unknown(struct loading *l, const char *text)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    const char *name = text + strspn(text, "-");
    size_t len = strcspn(name, "=");
    struct nearest nearest = nearest_to(name, len);
    for (size_t i = 0; i < ARGUMENTS; i++)
        nearest_offer(&nearest, arguments[i].name);
    settings_quote(quoted, text, strlen(text));
    if (nearest.best)
        settings_report_add(&l->report, 0, "there is no option %s: did you mean --%s?", quoted,
                            nearest.best);
    else
        settings_report_add(&l->report, 0, "there is no option %s", quoted);
}

static void tell_unexpected(struct loading *l, const char *text)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    settings_quote(quoted, text, strlen(text));
    settings_report_add(&l->report, 0, "%s is not expected here: a file is named with --config",
                        quoted);
}

// First reading: the form. getopt takes an option cut short where only one begins so; here it is
// refused, since the next version may have two.
static void read_form(struct loading *l)
{
    int got;
    optind = 0; // makes getopt forget an earlier reading
    while ((got = next_argument(l->argc, l->argv)) != -1) {
        if (got == ':') {
            settings_report_add(&l->report, 0, "--%s needs a value",
                                arguments[optopt - FIRST_OPTION].name);
            continue;
        }
        if (got < FIRST_OPTION) {
            char letter[] = {'-', (char)optopt, '\0'};
            tell_unknown(l, optopt ? letter : l->argv[optind - 1]);
            continue;
        }
        const struct argument *argument = &arguments[got - FIRST_OPTION];
        const char *word = l->argv[optarg == l->argv[optind - 1] ? optind - 2 : optind - 1];
        if (strcspn(word + 2, "=") != strlen(argument->name)) {
            tell_unknown(l, word);
            continue;
        }
        bool *seen = &l->seen[got - FIRST_OPTION];
        if (*seen && !argument->repeatable)
            settings_report_add(&l->report, 0, "--%s is given twice: keep one", argument->name);
        *seen = true;
        if (!argument->section)
            l->config = optarg;
    }
    // After an unknown option a stray word is most likely its value.
    for (int i = optind; i < l->argc && l->report.count == 0; i++)
        tell_unexpected(l, l->argv[i]);
    l->usage = l->report.count > 0;
}

// The entry for all names, made where the file has none.
static struct forward_zone *root_zone(struct settings *settings)
{
    struct forward_zone_list *list = &settings->forward;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].zone.len == 1)
            return &list->items[i];
    return forward_zone_append(list);
}

static void apply(struct loading *l, const struct argument *argument, bool first, const char *text)
{
    const struct settings_option *option =
        settings_find(argument->section, argument->key, strlen(argument->key));
    void *base = option->in_zone ? (void *)root_zone(l->settings) : l->settings;
    char why[SETTINGS_WHY_SIZE];
    if (!base) {
        settings_report_add(&l->report, 0, "out of memory");
        return;
    }
    if (first) {
        settings_clear(option, base);
        *settings_origin(option, base) = (struct settings_origin){.source = SOURCE_COMMAND_LINE};
    }
    if (settings_add(option, base, text, strlen(text), why))
        settings_report_add(&l->report, 0, "--%s: %s", argument->name, why);
}

// Second reading: the values. Its form is known to be right.
static void read_values(struct loading *l)
{
    bool applied[ARGUMENTS] = {false};
    int got;
    optind = 0;
    while ((got = next_argument(l->argc, l->argv)) >= FIRST_OPTION) {
        size_t which = (size_t)(got - FIRST_OPTION);
        if (!arguments[which].section)
            continue;
        assert(optarg); // as the first reading has found
        apply(l, &arguments[which], !applied[which], optarg);
        applied[which] = true;
    }
}

// The system may learn its servers later, as its network comes up: no name is forwarded until then.
static void no_upstream_yet(struct loading *l, FILE *errors)
{
    fprintf(errors, "ouzel: warning: there is no upstream yet: " RESOLV_CONF_PATH
                    " names no server; name one with --upstream or in section forward, or have "
                    "the system name one\n");
    forward_zone_drop(&l->settings->forward);
}

// Forwards all names to the servers of the system.
static void use_resolv_conf(struct loading *l, FILE *errors)
{
    size_t skipped;
    struct forward_zone *zone = forward_zone_append(&l->settings->forward);
    if (!zone) {
        settings_report_add(&l->report, 0, "out of memory");
        return;
    }
    zone->origins[ZONE_zone].source = SOURCE_RESOLV_CONF;
    zone->origins[ZONE_to].source = SOURCE_RESOLV_CONF;
    l->settings->follows_system = true;
    int error = resolv_conf_read(RESOLV_CONF_PATH, &zone->to, &skipped);
    if (error && error != -ENOENT)
        settings_report_add(&l->report, 0,
                            "there is no upstream: name one with --upstream or in section forward "
                            "(" RESOLV_CONF_PATH " cannot be read: %s)",
                            regular_file_error(error));
    else if (zone->to.count == 0)
        no_upstream_yet(l, errors);
    if (skipped > 0)
        fprintf(errors,
                "ouzel: warning: " RESOLV_CONF_PATH ": nameserver lines left out because they "
                "cannot be used, repeat others or are too many: %zu\n",
                skipped);
}

// The secrets are read by the engine; their faults are reported with those of the settings.
static void check_cookies(struct loading *l)
{
    char why[COOKIE_FILE_WHY_SIZE];
    struct cookie_source source;
    const char *path = l->settings->server_cookie_secrets.text;
    if (*path == '\0' || cookie_file_read(path, &source, why) == 0)
        return;
    settings_report_add(&l->report, l->settings->origins[OPTION_server_cookie_secrets].line,
                        "server.cookie-secrets: %s", why);
}

static void check_user(struct loading *l)
{
    char why[USER_WHY_SIZE];
    if (user_check(l->settings->server_user.text, why) != 0)
        settings_report_add(&l->report, l->settings->origins[OPTION_server_user].line, "%s", why);
}

// A path of a Unix socket has fewer octets than others.
static void check_socket(struct loading *l, enum settings_slot option, const char *name,
                         const struct path *path)
{
    const size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    if (strlen(path->text) > max)
        settings_report_add(&l->report, l->settings->origins[option].line,
                            "%s: a socket's path has at most %zu octets, and this one %zu", name,
                            max, strlen(path->text));
}

// What is allowed and most likely not meant.
static void warning_print(void *context, const struct settings *settings, struct settings_origin at,
                          const char *why)
{
    if (at.line > 0)
        fprintf(context, "%s:%u: warning: %s\n", settings->file, at.line, why);
    else
        fprintf(context, "ouzel: warning: %s\n", why);
}

int settings_load(struct settings *settings, int argc, char **argv, FILE *errors)
{
    assert(settings);
    struct loading l = {.settings = settings, .argc = argc, .argv = argv};
    read_form(&l);
    if (l.usage) {
        settings_report_print(&l.report, errors);
        fprintf(errors, "See `ouzel help %s`.\n", argv[0]);
        return EXIT_USAGE;
    }
    if (settings_defaults(settings)) {
        fprintf(errors, "ouzel: out of memory\n");
        return EXIT_USAGE;
    }
    // What goes wrong from here on is in the report; its count decides.
    if (l.config && settings_file_read(settings, l.config, &l.report) == -ENOMEM)
        goto failed;
    read_values(&l);
    if (l.report.count == 0 && settings->forward.count == 0)
        use_resolv_conf(&l, errors);
    settings_file_check(settings, &l.report);
    check_cookies(&l);
    check_user(&l);
    check_socket(&l, OPTION_control_socket, "control.socket", &settings->control_socket);
    check_socket(&l, OPTION_queries_dnstap, "queries.dnstap", &settings->queries_dnstap);
    if (l.report.count == 0) {
        settings_warn(settings, warning_print, errors);
        return 0;
    }
failed:
    settings_report_print(&l.report, errors);
    settings_free(settings);
    return EXIT_USAGE;
}
