// SPDX-License-Identifier: MIT
// Counts calls into the C library that the answer of a cached query must not make. Loaded with
// LD_PRELOAD by test_hit_path.py; the counts stand in a file that both map (OUZEL_COUNT_FILE), in
// the order of `names` below, which the file repeats as text behind them.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// X(return type, name, parameters, arguments): all that is passed on as it came.
#define CALLS(X)                                                                               \
    X(void *, realloc, (void *p, size_t size), (p, size))                                      \
    X(int, posix_memalign, (void **p, size_t align, size_t size), (p, align, size))            \
    X(void *, aligned_alloc, (size_t align, size_t size), (align, size))                       \
    X(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))                                     \
    X(int, pthread_mutex_trylock, (pthread_mutex_t * m), (m))                                  \
    X(int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))                                 \
    X(int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))                                 \
    X(int, pthread_spin_lock, (pthread_spinlock_t * l), (l))                                   \
    X(int, pthread_cond_signal, (pthread_cond_t * c), (c))                                     \
    X(int, pthread_cond_broadcast, (pthread_cond_t * c), (c))                                  \
    X(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))                                  \
    X(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))                           \
    X(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))                      \
    X(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))                     \
    X(ssize_t, recv, (int fd, void *p, size_t n, int f), (fd, p, n, f))                        \
    X(ssize_t, send, (int fd, const void *p, size_t n, int f), (fd, p, n, f))                  \
    X(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f))                         \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))                   \
    X(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int f, struct timespec *t),       \
      (fd, m, n, f, t))                                                                        \
    X(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int f), (fd, m, n, f))            \
    X(ssize_t, recvfrom, (int fd, void *p, size_t n, int f, struct sockaddr *a, socklen_t *l), \
      (fd, p, n, f, a, l))                                                                     \
    X(ssize_t, sendto,                                                                         \
      (int fd, const void *p, size_t n, int f, const struct sockaddr *a, socklen_t l),         \
      (fd, p, n, f, a, l))                                                                     \
    X(int, socket, (int d, int t, int p), (d, t, p))                                           \
    X(int, close, (int fd), (fd))                                                              \
    X(int, vfprintf, (FILE * f, const char *t, va_list v), (f, t, v))                          \
    X(int, vsnprintf, (char *p, size_t n, const char *t, va_list v), (p, n, t, v))             \
    X(int, fputs, (const char *t, FILE *f), (t, f))                                            \
    X(size_t, fwrite, (const void *p, size_t s, size_t n, FILE *f), (p, s, n, f))              \
    X(int, nanosleep, (const struct timespec *t, struct timespec *r), (t, r))

enum call {
    CALL_malloc,
    CALL_free,
    CALL_calloc,
    CALL_fprintf,
#define X(type, name, parameters, arguments) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT
};

static const char names[] = "malloc free calloc fprintf"
#define X(type, name, parameters, arguments) " " #name
    CALLS(X)
#undef X
    ;

static uint64_t before_the_map[CALL_COUNT];
static uint64_t *counts = before_the_map;

static void count(enum call call)
{
    __atomic_fetch_add(&counts[call], 1, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void map_counts(void)
{
    const char *path = getenv("OUZEL_COUNT_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return;
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return;
    memcpy(map + sizeof before_the_map, names, sizeof names);
    counts = (uint64_t *)(void *)map;
}

// dlsym itself may ask for memory before it has told us where the real calloc is.
static char early[16384];
static size_t early_used;

static void *early_alloc(size_t size)
{
    size_t at = __atomic_fetch_add(&early_used, (size + 15) & ~(size_t)15, __ATOMIC_RELAXED);
    return at + size <= sizeof early ? early + at : NULL;
}

static int is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static __thread int resolving;

static void *real(void **cache, const char *name)
{
    void *found = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (!found) {
        resolving = 1;
        found = dlsym(RTLD_NEXT, name);
        resolving = 0;
        __atomic_store_n(cache, found, __ATOMIC_RELAXED);
    }
    return found;
}

void *malloc(size_t size)
{
    static void *cache;
    count(CALL_malloc);
    if (resolving)
        return early_alloc(size);
    return ((void *(*)(size_t))real(&cache, "malloc"))(size);
}

void free(void *p)
{
    static void *cache;
    count(CALL_free);
    if (p && !is_early(p))
        ((void (*)(void *))real(&cache, "free"))(p);
}

int fprintf(FILE *file, const char *format, ...)
{
    va_list list;
    count(CALL_fprintf);
    va_start(list, format);
    int written = vfprintf(file, format, list);
    va_end(list);
    return written;
}

void *calloc(size_t n, size_t size)
{
    static void *cache;
    count(CALL_calloc);
    if (resolving)
        return early_alloc(n * size);
    return ((void *(*)(size_t, size_t))real(&cache, "calloc"))(n, size);
}

#define X(type, name, parameters, arguments)                       \
    type name parameters                                           \
    {                                                              \
        static void *cache;                                        \
        count(CALL_##name);                                        \
        return ((type(*) parameters)real(&cache, #name))arguments; \
    }
CALLS(X)
#undef X
