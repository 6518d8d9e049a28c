// SPDX-License-Identifier: MIT
#include "io/net/descriptor.h"
#include "io/net/udp.h"
#include "io/net/wake.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/files.h"
#include "tests/netsim/link.h"
#include "tests/netsim/world.h"

#include <errno.h>

// What io asks of the kernel beside its nets, answered from the simulated one.

// --- descriptors ---------------------------------------------------------------------------------

static struct file *must_be(int fd, enum file_kind kind)
{
    struct file *file = file_of(fd);
    if (!file || file->kind != kind)
        world_fail("descriptor %d is used, which is %s", fd, file ? "of another kind" : "closed");
    return file;
}

void descriptor_close(int fd)
{
    if (engine_names(fd))
        world_fail("descriptor %d is closed while a request names it", fd);
    if (!file_close(fd))
        world_fail("descriptor %d is closed, which is not open", fd);
}

int descriptor_copy(int fd)
{
    struct file *file = file_of(fd);
    if (!file)
        world_fail("descriptor %d is copied, which is not open", fd);
    return file_number(file, false);
}

int wake_open(void)
{
    struct file *file;
    int fd = file_make(FILE_WAKE, false, &file);
    if (fd < 0)
        errno = -fd;
    return fd < 0 ? -1 : fd;
}

void wake_close(int fd)
{
    (void)must_be(fd, FILE_WAKE);
    descriptor_close(fd);
}

void wake_send(int fd)
{
    struct file *file = must_be(fd, FILE_WAKE);
    file->wakes++;
    file_changed(file);
}

void wake_receive(int fd)
{
    must_be(fd, FILE_WAKE)->wakes = 0;
}

// --- datagrams -----------------------------------------------------------------------------------

bool udp_is_here(const struct address *address)
{
    (void)address;
    return true;
}

static bool has_port(const struct file *file, const void *context)
{
    const struct address *at = context;
    return file->kind == FILE_UDP && file->bound && file->at.family == at->family &&
           file->at.port == at->port;
}

static bool has_address(const struct file *file, const void *context)
{
    const struct address *at = context;
    return has_port(file, at) && (address_is_wildcard(&file->at) || address_is_wildcard(at) ||
                                  address_equal(&file->at, at));
}

int udp_probe(const struct address *address)
{
    return file_find(has_address, address) ? -EADDRINUSE : 0;
}

static int udp_make(const struct address *at, bool hears)
{
    struct file *file;
    int fd = file_make(FILE_UDP, false, &file);
    if (fd < 0)
        return fd;
    file->at = *at;
    file->bound = true;
    file->hears = hears;
    return fd;
}

int udp_listen(const struct address *address)
{
    return udp_make(address, true);
}

int udp_sender(const struct address *address)
{
    return udp_make(address, false);
}

void udp_port_close(int fd)
{
    (void)must_be(fd, FILE_UDP);
}

int udp_connect(const struct address *upstream, uint16_t port, bool *bound)
{
    struct address at = {.family = upstream->family, .port = port};
    *bound = false;
    if (file_find(has_port, &at))
        return -EADDRINUSE;
    int fd = udp_make(&at, false);
    if (fd < 0)
        return fd;
    *bound = true;
    file_of(fd)->peer = *upstream;
    if (!world_mischief(world.params.send_fail_pm / 4))
        return fd;
    (void)file_close(fd);
    world.gone++;
    return -ENETUNREACH;
}

uint64_t udp_drops(int fd)
{
    return must_be(fd, FILE_UDP)->drops;
}

// --- connections ---------------------------------------------------------------------------------

int tcp_socket(const struct address *address)
{
    struct file *file;
    (void)address;
    return file_make(FILE_TCP, false, &file);
}

int tcp_listen(const struct address *address)
{
    struct file *file;
    int fd = file_make(FILE_LISTENER, false, &file);
    if (fd < 0)
        return fd;
    file->at = *address;
    file->bound = true;
    return fd;
}

int tcp_probe(const struct address *address)
{
    (void)address;
    return 0;
}

bool tcp_peer(int fd, struct address *peer)
{
    const struct link *link = must_be(fd, FILE_TCP)->link;
    if (!link || link->host_gone)
        return false;
    *peer = link->host;
    return true;
}

void tcp_shutdown(int fd)
{
    struct link *link = must_be(fd, FILE_TCP)->link;
    if (link)
        link_engine_shut(link);
}
