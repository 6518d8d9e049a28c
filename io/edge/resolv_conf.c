// SPDX-License-Identifier: MIT
#include "io/edge/resolv_conf.h"

#include "core/settings/parse.h"
#include "io/edge/regular_file.h"
#include "io/edge/scope.h"
#include "io/edge/settings_lists.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// The keyword stands at the very start of its line, as the C library wants it; after the address
// anything may follow.

static const char blanks[] = " \t\r\n";

static bool read_server(const char *line, struct endpoint *endpoint)
{
    const struct settings_option *to = settings_find("forward", "to", 2);
    union settings_value value;
    char why[SETTINGS_WHY_SIZE];
    char numbered[ADDRESS_TEXT_MAX];
    const char *start = line + strspn(line, blanks);
    size_t len = strcspn(start, blanks);
    enum scope_verdict scope = scope_number(start, len, numbered);
    if (scope == SCOPE_NUMBERED) {
        start = numbered;
        len = strlen(numbered);
    }
    if (scope == SCOPE_UNKNOWN || !settings_parse(to, start, len, &value, why))
        return false;
    *endpoint = value.endpoint;
    return true;
}

static bool holds(const struct endpoint_list *list, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < list->count; i++)
        if (endpoint_equal(&list->items[i], endpoint))
            return true;
    return false;
}

// The rest of a line that names a server, NULL: it is another line.
static const char *after_keyword(const char *line)
{
    static const char keyword[] = "nameserver";
    size_t len = sizeof keyword - 1;
    if (strncmp(line, keyword, len) != 0 || line[len] == '\0' || !strchr(blanks, line[len]))
        return NULL;
    return line + len;
}

int resolv_conf_read(const char *path, struct endpoint_list *list, size_t *skipped)
{
    char *line = NULL;
    size_t line_size = 0;
    size_t read = 0;
    int error = 0;
    *skipped = 0;
    int fd = regular_file_open(path);
    if (fd < 0)
        return fd;
    FILE *file = fdopen(fd, "r");
    if (!file) {
        error = -errno;
        close(fd);
        return error;
    }
    while (!error && getline(&line, &line_size, file) >= 0) {
        struct endpoint endpoint;
        const char *rest = after_keyword(line);
        if (!rest)
            continue;
        if (read == RESOLV_CONF_SERVERS_MAX || !read_server(rest, &endpoint) ||
            holds(list, &endpoint)) {
            ++*skipped;
            continue;
        }
        error = endpoint_list_append(list, &endpoint);
        read++;
    }
    // getline ends with -1 and ferror for a directory, with -1 alone where memory is short.
    if (!error && !feof(file))
        error = ferror(file) ? -EIO : -ENOMEM;
    free(line);
    fclose(file);
    return error;
}
