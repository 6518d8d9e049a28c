// SPDX-License-Identifier: MIT
#include "io/edge/watch.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct watch {
    const char *path;
    int fd;
    unsigned on; // how often it was turned on or off: odd where it is on; atomic
};

// How a file is; all zeros where there is none.
struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

static void look_at(const char *path, struct look *look)
{
    struct stat status;
    memset(look, 0, sizeof *look);
    if (stat(path, &status) != 0)
        return;
    look->device = status.st_dev;
    look->inode = status.st_ino;
    look->size = status.st_size;
    look->changed.tv_sec = status.st_mtim.tv_sec;
    look->changed.tv_nsec = status.st_mtim.tv_nsec;
}

static void *thread_main(void *argument)
{
    struct watch *watch = argument;
    struct look last, now;
    unsigned seen = 0;
    pthread_setname_np(pthread_self(), "watch");
    for (;; (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL)) {
        unsigned on = __atomic_load_n(&watch->on, __ATOMIC_RELAXED);
        if (on % 2 == 0)
            continue;
        look_at(watch->path, &now);
        if (on == seen && memcmp(&now, &last, sizeof now) != 0) {
            ssize_t written = write(watch->fd, &(uint64_t){1}, sizeof(uint64_t));
            (void)written; // an eventfd takes it
        }
        last = now;
        seen = on;
    }
    return NULL;
}

struct watch *watch_open(const char *path)
{
    struct watch *watch = calloc(1, sizeof *watch);
    pthread_t thread;
    if (!watch)
        return NULL;
    watch->path = path;
    watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->fd >= 0 && pthread_create(&thread, NULL, thread_main, watch) == 0) {
        pthread_detach(thread);
        return watch;
    }
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
    return NULL;
}

void watch_set(struct watch *watch, bool on)
{
    unsigned count = __atomic_load_n(&watch->on, __ATOMIC_RELAXED);
    if ((count % 2 == 1) != on)
        __atomic_store_n(&watch->on, count + 1, __ATOMIC_RELAXED);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

void watch_seen(const struct watch *watch)
{
    uint64_t count;
    ssize_t taken = read(watch->fd, &count, sizeof count);
    (void)taken;
}
