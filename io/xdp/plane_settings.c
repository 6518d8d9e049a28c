// SPDX-License-Identifier: MIT
#include "io/xdp/plane_settings.h"

#include "io/net/sockaddr.h"
#include "io/xdp/plane_clients.h"

#include <errno.h>
#include <ifaddrs.h>

static const char *const reasons[] = {"limits.client-qps or limits.same-answers is set",
                                      "answers are logged or sent over dnstap"};

const char *plane_settings_aside(const struct settings *settings)
{
    if (settings->limits_client_qps > 0 || settings->limits_same_answers > 0)
        return reasons[0];
    if (settings->queries_log || *settings->queries_dnstap.text)
        return reasons[1];
    return NULL;
}

struct plane_config plane_settings_config(const struct settings *settings, uint32_t generation,
                                          uint64_t clock_offset_ns)
{
    return (struct plane_config){
        .clock_offset_ns = clock_offset_ns,
        .generation = generation,
        .udp_payload_max = (uint16_t)settings->server_udp_payload_max,
        .rotate = settings->cache_rotate,
    };
}

static bool is_loopback(const struct address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    return address->family == ADDRESS_IPV4 ? address->ip[0] == 127
                                           : memcmp(address->ip, one, sizeof one) == 0;
}

// Adds this host's addresses of the family, in place of a wildcard; where `plane` is NULL only
// tells them apart from others, by their sum.
static int wildcard_listen(struct plane *plane, const struct address *wildcard, uint64_t *sum)
{
    struct ifaddrs *all;
    int error = getifaddrs(&all) == 0 ? 0 : -errno;
    if (error < 0)
        return error;
    for (const struct ifaddrs *each = all; each && error == 0; each = each->ifa_next) {
        struct address address;
        if (!each->ifa_addr || !sockaddr_read(&address, each->ifa_addr) ||
            address.family != wildcard->family || is_loopback(&address))
            continue;
        address.port = wildcard->port;
        address.scope = 0;
        for (size_t i = 0; i < sizeof address; i++)
            *sum = (*sum ^ ((const uint8_t *)&address)[i]) * 0x100000001b3u;
        if (plane)
            error = plane_listen(plane, &address);
    }
    freeifaddrs(all);
    return error;
}

int plane_settings_listen(const struct settings *settings, struct plane *plane, uint64_t *sum)
{
    const struct address_list *list = &settings->server_listen;
    int error = plane ? plane_listen_clear(plane) : 0;
    *sum = 0;
    for (size_t i = 0; i < list->count && error == 0; i++) {
        const struct address *address = &list->items[i];
        if (address_is_wildcard(address))
            error = wildcard_listen(plane, address, sum);
        else if (plane)
            error = plane_listen(plane, address);
    }
    return error;
}

int plane_settings_apply(struct plane *plane, const struct settings *settings,
                         struct plane_config *config, uint64_t *sum)
{
    config->on = 0;
    int error = plane_configure(plane, config);
    if (error == 0)
        error = plane_settings_listen(settings, plane, sum);
    if (error == 0)
        error = plane_clients_fill(plane, settings, config);
    config->on = !plane_settings_aside(settings);
    return error == 0 ? plane_configure(plane, config) : error;
}
