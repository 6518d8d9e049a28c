// SPDX-License-Identifier: MIT
#include "io/daemon/watch.h"

#include "io/net/wake.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct watch {
    const char *path;
    int fd;
    pthread_mutex_t lock; // of the rest
    pthread_cond_t turned_on;
    bool on;
    struct watch_look known;
};

void watch_look_at(struct watch_look *look, const char *path)
{
    struct stat status;
    *look = (struct watch_look){0};
    if (stat(path, &status) != 0)
        return;
    look->device = status.st_dev;
    look->inode = status.st_ino;
    look->size = (uint64_t)status.st_size;
    look->changed_s = status.st_mtim.tv_sec;
    look->changed_ns = status.st_mtim.tv_nsec;
}

// Says that the file has changed, and knows it as it is now.
static void compare(struct watch *watch, const struct watch_look *now)
{
    pthread_mutex_lock(&watch->lock);
    if (watch->on && memcmp(now, &watch->known, sizeof *now) != 0) {
        wake_send(watch->fd);
        watch->known = *now;
    }
    pthread_mutex_unlock(&watch->lock);
}

// Returns once there is a file to look at: most settings name their upstreams themselves, and a
// idle daemon should not wake up for a file that it does not use.
static void wait_until_on(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    while (!watch->on)
        pthread_cond_wait(&watch->turned_on, &watch->lock);
    pthread_mutex_unlock(&watch->lock);
}

static void *thread_main(void *argument)
{
    struct watch *watch = argument;
    struct watch_look now;
    pthread_setname_np(pthread_self(), "watch");
    for (;;) {
        wait_until_on(watch);
        watch_look_at(&now, watch->path);
        compare(watch, &now);
        (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
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
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->turned_on, NULL);
    watch->fd = wake_open();
    if (watch->fd >= 0 && pthread_create(&thread, NULL, thread_main, watch) == 0) {
        pthread_detach(thread);
        return watch;
    }
    if (watch->fd >= 0)
        wake_close(watch->fd);
    free(watch);
    return NULL;
}

void watch_set(struct watch *watch, bool on, const struct watch_look *known)
{
    pthread_mutex_lock(&watch->lock);
    watch->on = on;
    watch->known = *known;
    if (on)
        pthread_cond_signal(&watch->turned_on);
    pthread_mutex_unlock(&watch->lock);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

void watch_seen(const struct watch *watch)
{
    wake_receive(watch->fd);
}
