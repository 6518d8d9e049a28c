// SPDX-License-Identifier: MIT
#include "io/net/udp.h"

#include "io/net/sockaddr.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET_BUFFER = 4 * 1024 * 1024, TCP_BACKLOG = 1024 };

bool udp_is_here(const struct address *address)
{
    struct sockaddr_in6 local;
    struct address any_port = *address;
    any_port.port = 0;
    socklen_t len = sockaddr_write(&local, &any_port);
    int fd = socket(local.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; // not for want of the address
    bool here = bind(fd, (const struct sockaddr *)&local, len) == 0 || errno != EADDRNOTAVAIL;
    close(fd);
    return here;
}

// The socket, or what has gone wrong while it was made: then it is closed.
static int fd_made(int fd, int error)
{
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

// Reports of a smaller path MTU are not believed: any host can forge one, and a single one would
// have all replies to its alleged target leave in fragments for ten minutes,
// which a forger can put pieces into (RFC 9715 3.1). What we send is short enough as it is, and an
// interface that takes less still cuts it.
static int path_mtu_ignore(int fd, int family)
{
    if (family == AF_INET)
        return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &(int){IP_PMTUDISC_OMIT}, sizeof(int));
    return setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &(int){IPV6_PMTUDISC_OMIT}, sizeof(int));
}

static int udp_socket(const struct address *address)
{
    int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // [::] must not take 0.0.0.0's port as well: each address listed is its own listener.
    int error = 0;
    if ((family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) != 0) ||
        path_mtu_ignore(fd, family) != 0)
        error = -errno;
    return fd_made(fd, error);
}

// An address that is not this machine's yet (a network that comes up later, a duplicate check that
// goes on, an address that moves between machines) may be bound to all the same, and is heard at as
// soon as it is here.
static int free_bind(int fd, const struct address *address)
{
    if (address_is_wildcard(address))
        return 0;
    if (address->family == ADDRESS_IPV4)
        return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &(int){1}, sizeof(int));
    return setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &(int){1}, sizeof(int));
}

static int udp_bind(int fd, const struct address *address)
{
    struct sockaddr_in6 local;
    socklen_t len = sockaddr_write(&local, address);
    if (free_bind(fd, address) != 0)
        return -errno;
    return bind(fd, (const struct sockaddr *)&local, len) == 0 ? 0 : -errno;
}

// To a wildcard means to the loopback address.
static int udp_connect_to(int fd, const struct address *address)
{
    struct sockaddr_in6 to;
    socklen_t len = sockaddr_write(&to, address);
    return connect(fd, (const struct sockaddr *)&to, len) == 0 ? 0 : -errno;
}

int udp_probe(const struct address *address)
{
    int fd = udp_socket(address);
    if (fd < 0)
        return fd;
    int error = udp_bind(fd, address);
    close(fd);
    return error;
}

// Room for bursts. Only the superuser may go beyond the system's limit; others get up to it.
static void buffers_enlarge(int fd)
{
    int size = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static int local_address_tell(int fd, const struct address *address)
{
    if (address->family == ADDRESS_IPV4)
        return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &(int){1}, sizeof(int));
    return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int));
}

int udp_listen(const struct address *address)
{
    int fd = udp_socket(address);
    if (fd < 0)
        return fd;
    buffers_enlarge(fd);
    int error = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0)
        error = -errno;
    if (error == 0 && address_is_wildcard(address) && local_address_tell(fd, address) != 0)
        error = -errno;
    if (error == 0)
        error = udp_bind(fd, address);
    return fd_made(fd, error);
}

// Not SO_REUSEPORT: the kernel would count it among the sockets that share the datagrams.
int udp_sender(const struct address *address)
{
    int fd = udp_socket(address);
    if (fd < 0)
        return fd;
    buffers_enlarge(fd);
    int error = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0)
        error = -errno;
    if (error == 0)
        error = udp_bind(fd, address);
    if (error == 0)
        error = udp_connect_to(fd, address);
    return fd_made(fd, error);
}

void udp_port_close(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){0}, sizeof(int));
}

int udp_connect(const struct address *upstream, uint16_t port, bool *bound)
{
    *bound = false;
    int fd = udp_socket(upstream);
    if (fd < 0)
        return fd;
    struct address local = {.family = upstream->family, .port = port};
    int error = udp_bind(fd, &local);
    if (error == 0) {
        *bound = true;
        error = udp_connect_to(fd, upstream);
    }
    return fd_made(fd, error);
}

int tcp_socket(const struct address *address)
{
    int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // Queries are short and come one by one: none waits for the next.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

// A bound TCP socket; `shared`: with others of ours.
static int tcp_bound(const struct address *address, bool shared)
{
    int fd = tcp_socket(address);
    if (fd < 0)
        return fd;
    bool ipv6 = address->family == ADDRESS_IPV6;
    int error = 0;
    // Connections of an earlier process may linger at the port; another listener may not.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) != 0) ||
        (ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) != 0))
        error = -errno;
    if (error == 0)
        error = udp_bind(fd, address);
    if (error == 0 && listen(fd, TCP_BACKLOG) != 0)
        error = -errno;
    return fd_made(fd, error);
}

int tcp_listen(const struct address *address)
{
    return tcp_bound(address, true);
}

int tcp_probe(const struct address *address)
{
    int fd = tcp_bound(address, false);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

uint64_t udp_drops(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

bool tcp_peer(int fd, struct address *peer)
{
    struct sockaddr_in6 name;
    socklen_t len = sizeof name;
    return getpeername(fd, (struct sockaddr *)&name, &len) == 0 &&
           sockaddr_read(peer, (const struct sockaddr *)&name);
}

void tcp_shutdown(int fd)
{
    shutdown(fd, SHUT_RDWR);
}
