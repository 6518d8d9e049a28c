// SPDX-License-Identifier: MIT
#include "io/edge/manual.h"

#include "io/edge/arguments.h"
#include "io/edge/settings_reference.h"

// The man pages and the completion of the shell, made from the same tables as the program's own
// help. docs/ouzel.8, docs/ouzel.yaml.5 and packaging/ouzel.bash are what is printed here
// (scripts/documents); tests/integration/test_documents.py compares them.

// Text as roff takes it: a backslash and a dash mean themselves, and no line begins with what is an
// order to roff.
static void text_print(const char *text, FILE *to)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", to);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
    }
}

static void paragraph(const char *text, FILE *to)
{
    fputs(".PP\n", to);
    text_print(text, to);
    fputc('\n', to);
}

static void title(const char *name, const char *section, const char *what, FILE *to)
{
    fprintf(to,
            ".\\\" SPDX-License-Identifier: MIT\n"
            ".\\\" Made by `ouzel help`; do not change it by hand.\n"
            ".TH \"%s\" \"%s\" \"\" \"ouzel %s\" \"ouzel\"\n.SH NAME\n%s \\- %s\n",
            name, section, OUZEL_VERSION, name, what);
}

// A command or an order: its name, what it takes, and what it does.
static void entry_print(const char *name, const char *arguments, const char *summary, FILE *to)
{
    fprintf(to, ".TP\n.B %s\n", name);
    if (*arguments) {
        text_print(arguments, to);
        fputs("\n.br\n", to);
    }
    text_print(summary, to);
    fputs(".\n", to);
}

static void commands_print(const struct program *program, FILE *to)
{
    for (const struct command *command = program->commands; command->name; command++)
        entry_print(command->name, command->usage, command->summary, to);
}

static void orders_print(const struct program *program, FILE *to)
{
    for (const struct order *order = program->orders; order->name; order++)
        entry_print(order->name, order->arguments, order->summary, to);
}

void help_manual(const struct program *program, FILE *to)
{
    title("ouzel", "8", "a caching DNS forwarder", to);
    fputs(".SH SYNOPSIS\n", to);
    for (const struct command *command = program->commands; command->name; command++) {
        fprintf(to, ".B ouzel %s\n", command->name);
        text_print(command->usage, to);
        fputs("\n.br\n", to);
    }
    fputs(".SH DESCRIPTION\n", to);
    text_print(
        "ouzel is the name server that a network gives its clients: it answers from its cache "
        "and forwards all other questions to upstream resolvers, without making a client wait "
        "for a lost packet. It answers over UDP and TCP.",
        to);
    fputs("\n", to);
    paragraph(
        "It runs in the foreground, writes its log to standard error, and speaks the protocol of "
        "sd_notify(3).",
        to);
    fputs(".SH COMMANDS\n", to);
    commands_print(program, to);
    fputs(".SH OPTIONS\nOf serve and check; an option overrides the file:\n.PP\n.nf\n", to);
    arguments_print(to);
    fputs(".fi\n", to);
    paragraph("ADDR is 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53. Without a file and options the "
              "server listens on 127.0.0.1:5353 and asks the servers in /etc/resolv.conf.",
              to);
    fputs(".SH ORDERS\nOf \\fBouzel ctl\\fR:\n", to);
    orders_print(program, to);
    fputs(
        ".SH SIGNALS\n.TP\n.B SIGHUP\nouzel reads the settings and the files that they name again. "
        "If anything is wrong, the log says what, and everything stays as it was.\n"
        ".TP\n.B SIGTERM, SIGINT\nouzel stops within two seconds. If cache.snapshot is set and the "
        "time is enough, it saves the cache before.\n"
        ".SH \"EXIT STATUS\"\n.TP\n.B 0\nsuccess\n.TP\n.B 1\nfailure at run time\n.TP\n.B 2\nwrong "
        "usage or settings\n"
        ".SH \"SEE ALSO\"\n.BR ouzel.yaml (5)\n",
        to);
}

void help_manual_settings(FILE *to)
{
    char text[2 * SETTINGS_TEXT_SIZE], value[YAML_TEXT_SIZE];
    const char *section = "";
    title("ouzel.yaml", "5", "the settings of ouzel", to);
    fputs(".SH DESCRIPTION\n", to);
    text_print(
        "A YAML file that --config names. Every section and every key may be left out. An unknown "
        "key, a value out of bounds or a key given twice is an error that names its line, and "
        "ouzel "
        "does not start; ouzel check reports it beforehand. A size takes K, M or G, powers of "
        "1024; "
        "a duration needs a unit: ms, s, m, h or d.",
        to);
    fputs("\n", to);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (strcmp(section, option->section) != 0) {
            section = option->section;
            fprintf(to, ".SH \"SECTION %s\"\n", section);
        }
        fprintf(to, ".TP\n.B %s\n", option->key);
        text_print(option->help, to);
        fputc(' ', to);
        help_takes(option, text, sizeof text);
        text_print(text, to);
        if (help_default(option, value)) {
            fputs("\n.br\nDefault: ", to);
            text_print(value, to);
        } else {
            fputs("\n.br\nRequired", to);
        }
        fputs(option->reloadable ? ".\n" : ". Changes with a restart only.\n", to);
    }
    fputs(".SH \"SEE ALSO\"\n.BR ouzel (8)\n", to);
}

void help_completion(const struct program *program, const char *const *topics, FILE *to)
{
    fputs("# SPDX-License-Identifier: MIT\n"
          "# Completion for bash, made by `ouzel help completion`; do not change it by hand.\n"
          "_ouzel() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    case $before in\n"
          "    --config | --control) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n"
          "    esac\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          to);
    for (const struct command *command = program->commands; command->name; command++)
        fprintf(to, "%s%s", command == program->commands ? "" : " ", command->name);
    fputs("' -- \"$word\")\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n    serve | "
          "check)\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          to);
    arguments_names(to);
    fputs("' -- \"$word\") ;;\n    ctl)\n        mapfile -t COMPREPLY < <(compgen -W '--control "
          "--json",
          to);
    for (const struct order *order = program->orders; order->name; order++)
        fprintf(to, " %s", order->name);
    fputs("' -- \"$word\") ;;\n    help)\n        mapfile -t COMPREPLY < <(compgen -W '", to);
    for (const struct command *command = program->commands; command->name; command++)
        fprintf(to, "%s ", command->name);
    for (size_t i = 0; topics[i]; i++)
        fprintf(to, "%s%s", i ? " " : "", topics[i]);
    fputs("' -- \"$word\") ;;\n    esac\n}\ncomplete -F _ouzel ouzel\n", to);
}
