// SPDX-License-Identifier: MIT
#include "io/edge/cookie_file.h"

#include "io/edge/regular_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_MAX_LEN = 256, // longer lines are no secret, whatever they hold
    DIGITS = 2 * SIPHASH_KEY_LEN,
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char letter = (char)(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// Reads a line without its end as a secret. The line itself is never told: it may be one.
static const char *secret_read(uint8_t key[static SIPHASH_KEY_LEN], const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int digit = digit_of(line[i]);
        if (digit < 0)
            return "this is no hexadecimal digit";
        if (i < DIGITS)
            key[i / 2] = (uint8_t)(i % 2 ? key[i / 2] << 4 | digit : digit);
    }
    if (len != DIGITS)
        return len < DIGITS ? "a secret has 32 hexadecimal digits, and here are fewer"
                            : "a secret has 32 hexadecimal digits, and here are more";
    return NULL;
}

static const char *line_read(struct cookie_source *source, char *line)
{
    size_t len = strcspn(line, "\r\n");
    if (len == 0 || line[0] == '#')
        return NULL;
    if (source->count == 2)
        return "a third secret: give the current one and at most the one before it";
    const char *fault = secret_read(source->keys[source->count], line, len);
    source->count += !fault;
    return fault;
}

int cookie_file_read(const char *path, struct cookie_source *source,
                     char why[static COOKIE_FILE_WHY_SIZE])
{
    char line[LINE_MAX_LEN];
    unsigned number = 0;
    const char *fault = NULL;
    int fd = regular_file_open(path), error = fd;
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    *source = (struct cookie_source){0};
    if (fd >= 0 && !file) {
        error = -errno;
        close(fd);
    }
    if (!file) {
        snprintf(why, COOKIE_FILE_WHY_SIZE, "cannot read %s: %s", path, regular_file_error(error));
        return error;
    }
    while (!fault && fgets(line, sizeof line, file)) {
        number++;
        fault = line_read(source, line);
    }
    if (fault)
        snprintf(why, COOKIE_FILE_WHY_SIZE, "%s:%u: %s", path, number, fault);
    else if (ferror(file))
        snprintf(why, COOKIE_FILE_WHY_SIZE, "cannot read %s: %s", path, fault = strerror(errno));
    else if (source->count == 0)
        snprintf(why, COOKIE_FILE_WHY_SIZE, "%s holds no secret: %s", path,
                 fault = "give 32 hexadecimal digits");
    fclose(file);
    explicit_bzero(line, sizeof line);
    return fault ? -EINVAL : 0;
}
