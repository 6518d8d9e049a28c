// SPDX-License-Identifier: MIT
// Stands for a file system that does not answer, and for a disk that is slow. Loaded with
// LD_PRELOAD: while the file that OUZEL_SLOW names is there, to open a path with "dead-mount" in it
// takes for ever, and fsync of a file ten seconds. With OUZEL_SLOW_MAIN only the main thread's
// opening does. While that of OUZEL_NO_THREADS is there no thread is started. With OUZEL_SLOW_STOP
// an HTTP server takes half a second before it stops, with OUZEL_SLOW_UNLINK a file a tenth before
// it is gone. While OUZEL_SLOW is there, to start a program takes ten seconds where
// OUZEL_SLOW_SPAWN is set. With OUZEL_NO_WATCH no descriptor can be watched for one event.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int is_slow(void)
{
    const char *path = getenv("OUZEL_SLOW");
    return path && access(path, F_OK) == 0;
}

static void wait_s(unsigned seconds)
{
    struct timespec rest = {.tv_nsec = 50000000};
    for (unsigned i = 0; i < 20 * seconds && is_slow(); i++)
        nanosleep(&rest, NULL);
}

static int open_of(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    if (strstr(path, "dead-mount") && (!getenv("OUZEL_SLOW_MAIN") || gettid() == getpid()))
        wait_s(1000);
    return real(path, flags, mode);
}

#define OPEN(name)                                \
    int name(const char *path, int flags, ...)    \
    {                                             \
        va_list arguments;                        \
        va_start(arguments, flags);               \
        mode_t mode = va_arg(arguments, mode_t);  \
        va_end(arguments);                        \
        return open_of(#name, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int fsync(int fd)
{
    struct stat status;
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        wait_s(10);
    return real(fd);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
            RTLD_NEXT, "pthread_create");
    const char *path = getenv("OUZEL_NO_THREADS");
    return path && access(path, F_OK) == 0 ? EAGAIN : real(thread, attributes, run, argument);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const *arguments,
                char *const *environment)
{
    int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                const posix_spawnattr_t *, char *const *, char *const *) =
        (int (*)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                 const posix_spawnattr_t *, char *const *, char *const *))dlsym(RTLD_NEXT,
                                                                                "posix_spawn");
    if (getenv("OUZEL_SLOW_SPAWN"))
        wait_s(10);
    return real(pid, path, actions, attributes, arguments, environment);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    int (*real)(int, int, int, struct epoll_event *) =
        (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
    if (getenv("OUZEL_NO_WATCH") && operation == EPOLL_CTL_ADD && event->events & EPOLLONESHOT) {
        errno = ENOSPC;
        return -1;
    }
    return real(epoll, operation, fd, event);
}

int unlink(const char *path)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    if (getenv("OUZEL_SLOW_UNLINK"))
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    return real(path);
}

void MHD_stop_daemon(void *server)
{
    void (*real)(void *) = (void (*)(void *))dlsym(RTLD_NEXT, "MHD_stop_daemon");
    if (getenv("OUZEL_SLOW_STOP"))
        nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    real(server);
}
