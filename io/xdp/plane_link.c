// SPDX-License-Identifier: MIT
#include "io/xdp/plane_link.h"

#include "io/xdp/plane_state.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int why_fill(char why[static PLANE_WHY_SIZE], const char *interface, int error)
{
    const char *text = strerror(-error);
    if (error == -ENODEV || error == -ENXIO)
        text = "there is no such interface";
    else if (error == -EBUSY || error == -EEXIST)
        text = "another XDP program is attached there";
    else if (error == -EPROTONOSUPPORT)
        text = "it is no Ethernet interface";
    else if (error == -EPERM || error == -EACCES)
        text = "CAP_NET_ADMIN is needed for that";
    snprintf(why, PLANE_WHY_SIZE, "cannot answer in the driver of %s: %s", interface, text);
    return error;
}

enum mode { MODE_ANY, MODE_DRIVER, MODE_GENERIC };

// An interface as the settings name it.
struct interface {
    char name[IFNAMSIZ];
    enum mode mode;
};

static struct interface interface_of(const char *text)
{
    struct interface interface = {.mode = MODE_ANY};
    size_t len = strcspn(text, "/");
    if (text[len] == '/')
        interface.mode = text[len + 1] == 'd' ? MODE_DRIVER : MODE_GENERIC;
    if (len < sizeof interface.name)
        memcpy(interface.name, text, len);
    return interface;
}

// Is it an end of a pair of which the other end may drop what comes from a program?
static bool is_veth(int fd, const char *name)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (char *)&driver};
    memcpy(request.ifr_name, name, sizeof request.ifr_name);
    return ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "veth") == 0;
}

// Its index, or a negative errno; fills in what the program has to know of it, and decides on a
// mode where the settings leave that open.
static int interface_look(struct interface *interface, struct plane_device *device)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    memcpy(request.ifr_name, interface->name, sizeof request.ifr_name);
    if (interface->mode == MODE_ANY && is_veth(fd, interface->name))
        interface->mode = MODE_GENERIC;
    int error = ioctl(fd, SIOCGIFHWADDR, &request) == 0 ? 0 : -errno;
    if (error == 0 && request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        error = -EPROTONOSUPPORT;
    memcpy(device->mac, request.ifr_hwaddr.sa_data, sizeof device->mac);
    if (error == 0 && ioctl(fd, SIOCGIFMTU, &request) != 0)
        error = -errno;
    int mtu = request.ifr_mtu;
    device->mtu = (uint16_t)(mtu < 0 || mtu > UINT16_MAX ? UINT16_MAX : mtu);
    if (error == 0 && ioctl(fd, SIOCGIFINDEX, &request) != 0)
        error = -errno;
    close(fd);
    return error < 0 ? error : request.ifr_ifindex;
}

static struct plane_link *link_find(struct plane *plane, uint32_t interface)
{
    for (unsigned i = 0; i < plane->link_count; i++) {
        if (plane->links[i].interface == interface)
            return &plane->links[i];
    }
    return NULL;
}

// Zero is no interface: what was attached to one that has gone.
static bool link_lives(const struct plane_link *link)
{
    struct bpf_link_info info = {0};
    uint32_t len = sizeof info;
    return bpf_obj_get_info_by_fd(link->fd, &info, &len) == 0 && info.xdp.ifindex != 0;
}

static void link_remove(struct plane *plane, struct plane_link *link)
{
    close(link->fd);
    (void)bpf_map_delete_elem(plane->fds[PLANE_FD_DEVICES], &link->interface);
    *link = plane->links[--plane->link_count];
}

static int link_create(const struct plane *plane, uint32_t interface, bool generic)
{
    LIBBPF_OPTS(bpf_link_create_opts, options,
                .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
    return bpf_link_create(plane->fds[PLANE_FD_PROGRAM], (int)interface, BPF_XDP, &options);
}

static int link_add(struct plane *plane, uint32_t interface, enum mode mode)
{
    bool generic = mode == MODE_GENERIC;
    if (plane->link_count == PLANE_LINKS_MAX)
        return -ENOSPC;
    int fd = link_create(plane, interface, generic);
    if (mode == MODE_ANY && (fd == -EOPNOTSUPP || fd == -EINVAL)) {
        generic = true;
        fd = link_create(plane, interface, true);
    }
    if (fd < 0)
        return fd;
    plane->links[plane->link_count++] =
        (struct plane_link){.interface = interface, .fd = fd, .generic = generic};
    return 0;
}

// Is the program attached as it is wanted?
static bool link_fits(const struct plane_link *link, enum mode mode)
{
    return link_lives(link) && (mode == MODE_ANY || link->generic == (mode == MODE_GENERIC));
}

int plane_attach(struct plane *plane, const char *text, char why[static PLANE_WHY_SIZE])
{
    struct plane_device device = {0};
    struct interface interface = interface_of(text);
    int index = interface_look(&interface, &device);
    if (index < 0)
        return why_fill(why, text, index);
    uint32_t key = (uint32_t)index;
    struct plane_link *link = link_find(plane, key);
    if (link && !link_fits(link, interface.mode)) {
        link_remove(plane, link);
        link = NULL;
    }
    int error = bpf_map_update_elem(plane->fds[PLANE_FD_DEVICES], &key, &device, BPF_ANY);
    if (error == 0 && !link)
        error = link_add(plane, key, interface.mode);
    if (error == 0)
        return 0;
    (void)bpf_map_delete_elem(plane->fds[PLANE_FD_DEVICES], &key);
    return why_fill(why, text, error);
}

static uint32_t index_of(const char *text)
{
    struct interface interface = interface_of(text);
    return if_nametoindex(interface.name);
}

int plane_interface_check(const char *text, char why[static PLANE_WHY_SIZE])
{
    struct plane_device device;
    struct interface interface = interface_of(text);
    int index = interface_look(&interface, &device);
    return index < 0 ? why_fill(why, text, index) : 0;
}

void plane_detach_others(struct plane *plane, const char *const *interfaces, size_t count)
{
    for (unsigned i = 0; i < plane->link_count;) {
        bool wanted = false;
        for (size_t j = 0; j < count; j++)
            wanted |= index_of(interfaces[j]) == plane->links[i].interface;
        if (wanted)
            i++;
        else
            link_remove(plane, &plane->links[i]);
    }
}

void plane_leave(struct plane *plane)
{
    while (plane->link_count > 0)
        close(plane->links[--plane->link_count].fd);
}

bool plane_is_in_driver(const struct plane *plane, const char *interface)
{
    uint32_t index = index_of(interface);
    for (unsigned i = 0; i < plane->link_count; i++) {
        if (plane->links[i].interface == index)
            return !plane->links[i].generic;
    }
    return false;
}
