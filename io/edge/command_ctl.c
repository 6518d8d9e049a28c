// SPDX-License-Identifier: MIT
#include "io/edge/command_ctl.h"

#include "core/settings/format.h"
#include "core/settings/settings.h"
#include "core/settings/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Says an order to a running ouzel: one HTTP request over its control socket, and what comes back.

#define TARGET_SIZE 4096

struct saying {
    const char *path;
    const struct order *orders; // all
    const struct order *order;
    char target[TARGET_SIZE]; // of the request: the order and its parameters
    size_t len;
    size_t words;
    bool parameters; // there is one already
};

void help_orders(const struct order *orders, FILE *to)
{
    fputs("\nOrders:\n", to);
    for (const struct order *order = orders; order->name; order++) {
        int width = fprintf(to, "  %s %s", order->name, order->arguments);
        fprintf(to, "%*s %s\n", width < 38 ? 38 - width : 1, "", order->summary);
    }
    fputs("\n--json prints JSON. The socket is that of control.socket; without\n"
          "--control it is looked for at " CONTROL_PATH ".\n",
          to);
}

static int usage(const char *format, const char *word)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    settings_quote(quoted, word, strlen(word));
    fprintf(stderr, "ouzel: ");
    fprintf(stderr, format, quoted);
    fprintf(stderr, "\nSee `ouzel help ctl`.\n");
    return STATUS_USAGE;
}

static void target_add(struct saying *s, const char *text, bool encoded)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    for (; *text && s->len < TARGET_SIZE - 4; text++) {
        if (encoded || strchr(plain, *text))
            s->target[s->len++] = *text;
        else
            s->len += (size_t)snprintf(s->target + s->len, 4, "%%%02X", (unsigned char)*text);
    }
    s->target[s->len] = '\0';
}

static void parameter_add(struct saying *s, const char *name, size_t name_len, const char *value)
{
    char text[64];
    snprintf(text, sizeof text, "%c%.*s", s->parameters ? '&' : '?', (int)name_len, name);
    s->parameters = true;
    target_add(s, text, true);
    if (!value)
        return;
    target_add(s, "=", true);
    target_add(s, value, false);
}

// An option of the order at argv[*at]: `--name`, `--name VALUE` or `--name=VALUE`. False: it has
// none such, or the value is missing.
static bool option_parse(struct saying *s, char **argv, int *at)
{
    const char *word = argv[*at] + 2;
    size_t len = strcspn(word, "=");
    for (size_t i = 0; i < sizeof s->order->options / sizeof *s->order->options; i++) {
        const char *option = s->order->options[i];
        if (!option || strncmp(option, word, len) != 0)
            continue;
        const char *value = word[len] == '=' ? word + len + 1 : NULL;
        if (option[len] == '\0' && !value) {
            parameter_add(s, word, len, NULL);
            return true;
        }
        if (strcmp(option + len, "=") != 0 || (!value && !(value = argv[*at + 1])))
            continue;
        *at += word[len] != '=';
        parameter_add(s, word, len, value);
        return true;
    }
    return false;
}

static const struct order *order_find(const struct order *orders, const char *name)
{
    for (const struct order *order = orders; order->name; order++) {
        if (strcmp(order->name, name) == 0)
            return order;
    }
    return NULL;
}

static int order_parse(struct saying *s, const char *word)
{
    char format[128];
    s->order = order_find(s->orders, word);
    if (s->order) {
        target_add(s, "/", true);
        target_add(s, word, true);
        return STATUS_FINE;
    }
    struct nearest nearest = nearest_to(word, strlen(word));
    for (const struct order *order = s->orders; order->name; order++)
        nearest_offer(&nearest, order->name);
    snprintf(format, sizeof format, "there is no order %%s%s%s%s",
             nearest.best ? ": did you mean " : "", nearest.best ? nearest.best : "",
             nearest.best ? "?" : "");
    return usage(format, word);
}

static int read_arguments(struct saying *s, int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--json") == 0) {
            json = true;
        } else if (strcmp(word, "--control") == 0 && i + 1 < argc) {
            s->path = argv[++i];
        } else if (strncmp(word, "--control=", 10) == 0) {
            s->path = word + 10;
        } else if (!s->order && word[0] != '-') {
            int status = order_parse(s, word);
            if (status)
                return status;
        } else if (s->order && strncmp(word, "--", 2) == 0) {
            if (!option_parse(s, argv, &i))
                return usage("this order has no option %s, or it wants a value", word);
        } else if (s->order && s->words < 2 && s->order->words[s->words]) {
            const char *name = s->order->words[s->words++];
            parameter_add(s, name, strlen(name), word);
        } else {
            return usage("%s is not expected here", word);
        }
    }
    if (!s->order)
        return usage("an order is missing%.0s", "");
    if (json)
        parameter_add(s, "json", 4, NULL);
    return STATUS_FINE;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    return fd;
}

// Sends the request and returns all that comes back, with its length; NULL: it broke off.
static char *request(int fd, const struct saying *s, size_t *len)
{
    char text[TARGET_SIZE + 64], piece[4096], *all = NULL;
    int text_len = snprintf(text, sizeof text, "%s %s HTTP/1.0\r\nHost: ouzel\r\n%s\r\n",
                            s->order->changes ? "POST" : "GET", s->target,
                            s->order->changes ? "Content-Length: 0\r\n" : "");
    FILE *to = open_memstream(&all, len);
    if (!to)
        return NULL;
    ssize_t got = write(fd, text, (size_t)text_len) == text_len ? 1 : -1;
    while (got > 0) {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            fwrite(piece, 1, (size_t)got, to);
    }
    if (fclose(to) != 0 || got < 0 || *len == 0) {
        free(all);
        return NULL;
    }
    return all;
}

int command_ctl(const struct program *program, int argc, char **argv)
{
    struct saying s = {.path = CONTROL_PATH, .orders = program->orders};
    int status = read_arguments(&s, argc, argv);
    if (status)
        return status;
    int fd = connect_to(s.path);
    if (fd < 0) {
        fprintf(stderr, "ouzel: cannot reach ouzel at %s: %s%s\n", s.path, strerror(-fd),
                fd == -ENOENT || fd == -ECONNREFUSED
                    ? " (does it run, with control.socket set to this?)"
                    : "");
        return STATUS_FAILED;
    }
    size_t len = 0;
    char *reply = request(fd, &s, &len);
    close(fd);
    const char *body = reply ? strstr(reply, "\r\n\r\n") : NULL;
    if (!body) {
        fprintf(stderr, "ouzel: ouzel at %s broke off\n", s.path);
        free(reply);
        return STATUS_FAILED;
    }
    bool good = strncmp(reply, "HTTP/1.", 7) == 0 && strncmp(reply + 8, " 200", 4) == 0;
    fwrite(body + 4, 1, len - (size_t)(body + 4 - reply), good ? stdout : stderr);
    free(reply);
    return good ? STATUS_FINE : STATUS_FAILED;
}
