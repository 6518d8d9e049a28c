// SPDX-License-Identifier: MIT
#include "tests/netsim/files.h"

#include "tests/netsim/engine.h"
#include "tests/netsim/link.h"
#include "tests/netsim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// The first three numbers are the standard streams', as in every process.

enum { NUMBERS_MAX = 16384, NUMBERS_FIRST = 3 };

static struct file *table[NUMBERS_MAX];
static int lowest, highest;
static unsigned number_count, file_count;
static struct file *all, **all_end;

void files_begin(void)
{
    memset(table, 0, sizeof table);
    lowest = highest = NUMBERS_FIRST;
    number_count = file_count = 0;
    all = NULL;
    all_end = &all;
}

unsigned files_count(void)
{
    return file_count;
}

unsigned files_numbers(void)
{
    return number_count;
}

int file_number(struct file *file, bool sure)
{
    if (!sure && world_mischief(world.params.shortage_pm))
        return -EMFILE;
    int fd = lowest;
    while (fd < NUMBERS_MAX && table[fd])
        fd++;
    if (fd == NUMBERS_MAX)
        world_fail("no descriptor is free");
    table[fd] = file;
    lowest = fd + 1;
    number_count++;
    file_ref(file);
    file_hold(file);
    return fd;
}

int file_make(enum file_kind kind, bool sure, struct file **out)
{
    struct file *file = calloc(1, sizeof *file);
    assert(file);
    file->kind = kind;
    file->end = &file->first;
    file->refs = 1;
    file_count++;
    *all_end = file;
    all_end = &file->next;
    int fd = file_number(file, sure);
    file_unref(file);
    *out = fd < 0 ? NULL : file;
    return fd;
}

struct file *file_of(int fd)
{
    return fd >= 0 && fd < NUMBERS_MAX ? table[fd] : NULL;
}

bool file_close(int fd)
{
    struct file *file = file_of(fd);
    if (!file)
        return false;
    table[fd] = NULL;
    lowest = fd < lowest ? fd : lowest;
    number_count--;
    file_release(file);
    file_unref(file);
    return true;
}

void file_ref(struct file *file)
{
    file->refs++;
}

static void file_free(struct file *file)
{
    struct file **link = &all;
    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    if (!*link)
        all_end = link;
    file_count--;
    free(file);
}

void file_unref(struct file *file)
{
    assert(file->refs > 0);
    if (--file->refs == 0)
        file_free(file);
}

void file_hold(struct file *file)
{
    file->opens++;
}

// Leaves the network.
static void file_shut(struct file *file)
{
    file->bound = file->hears = false;
    while (file->count > 0)
        free(file_datagram_take(file));
    for (unsigned i = 0; i < file->waiting_count; i++)
        link_engine_close(file->waiting[i]);
    file->waiting_count = 0;
    if (file->link)
        link_engine_close(file->link);
    file->link = NULL;
}

void file_release(struct file *file)
{
    assert(file->opens > 0);
    if (--file->opens == 0)
        file_shut(file);
}

void file_changed(struct file *file)
{
    if (file->nets)
        engine_stir(file->nets);
}

struct file *file_find(bool (*fits)(const struct file *, const void *), const void *context)
{
    struct file *file = all;
    while (file && !fits(file, context))
        file = file->next;
    return file;
}

bool file_datagram(struct file *file, const struct address *from, const struct address *to,
                   const uint8_t *bytes, size_t len)
{
    if (file->count >= world.params.queue_max) {
        file->drops++;
        return false;
    }
    struct datagram *datagram = malloc(sizeof *datagram + len);
    assert(datagram);
    *datagram = (struct datagram){.from = *from, .to = *to, .len = (uint16_t)len};
    memcpy(datagram->bytes, bytes, len);
    *file->end = datagram;
    file->end = &datagram->next;
    file->count++;
    file_changed(file);
    return true;
}

struct datagram *file_datagram_take(struct file *file)
{
    struct datagram *datagram = file->first;
    assert(datagram && file->count > 0);
    file->first = datagram->next;
    if (!file->first)
        file->end = &file->first;
    file->count--;
    return datagram;
}
