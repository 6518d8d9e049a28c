// SPDX-License-Identifier: MIT
#include "io/edge/stats.h"

#include "io/edge/http.h"
#include "io/edge/http_host.h"
#include "io/edge/metrics.h"
#include "io/edge/report.h"
#include "io/edge/stats_page.h"
#include "io/net/sockaddr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, IDLE_TIMEOUT_S = 15, BACKLOG = 1024 };

struct stats {
    struct engine *engine;
    const struct log *log;
    struct http *http;
    int fd;
    bool top;               // the most frequent clients are shown
    struct text_list hosts; // names by which it may be asked; its own copy
    unsigned unready;       // bits 1 << enum stats_unready; atomic
    time_t started;
};

static void metrics_resource(const struct stats *stats, FILE *to)
{
    metrics_print(stats->engine, stats->log, stats->started, false, to);
}

static void json_resource(const struct stats *stats, FILE *to)
{
    metrics_print(stats->engine, stats->log, stats->started, true, to);
}

static void top_resource(const struct stats *stats, FILE *to)
{
    (void)report_top(stats->engine, true, to);
}

static unsigned unready_bits(const struct stats *stats)
{
    return __atomic_load_n(&stats->unready, __ATOMIC_RELAXED);
}

static void health_resource(const struct stats *stats, FILE *to)
{
    (void)stats; // that this is answered is the news
    fputs("ok\n", to);
}

static void ready_resource(const struct stats *stats, FILE *to)
{
    static const char *const lines[] = {
        [STATS_DRAINING] = "draining",
        [STATS_NO_UPSTREAM] = "there is no upstream yet",
        [STATS_NO_ADDRESS] = "an address to answer on is not there yet",
    };
    unsigned bits = unready_bits(stats);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (bits >> i & 1)
            fprintf(to, "%s\n", lines[i]);
    }
    if (bits == 0)
        fputs("ok\n", to);
}

static void page_resource(const struct stats *stats, FILE *to)
{
    (void)stats; // it fetches them itself
    fputs(stats_page, to);
}

static const struct resource {
    const char *path;
    const char *type;
    void (*print)(const struct stats *stats, FILE *to);
    bool of_top;   // only where the most frequent clients are shown
    bool of_ready; // the status of /readyz
} resources[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics_resource, false, false},
    {"/stats.json", "application/json", json_resource, false, false},
    {"/top.json", "application/json", top_resource, true, false},
    {"/healthz", "text/plain; charset=utf-8", health_resource, false, false},
    {"/readyz", "text/plain; charset=utf-8", ready_resource, false, true},
    {"/", "text/html; charset=utf-8", page_resource, false, false},
};

static enum MHD_Result resource_send(const struct stats *stats, struct MHD_Connection *connection,
                                     const struct resource *resource)
{
    char *body = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&body, &len);
    if (!to)
        return MHD_NO;
    resource->print(stats, to);
    if (fclose(to) != 0) {
        free(body);
        return MHD_NO;
    }
    bool fails = resource->of_ready && unready_bits(stats) != 0;
    return http_respond(connection, fails ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                        resource->type, body, len);
}

// The settings may have given way to others by the time of a request, so the list is copied.
static int hosts_copy(struct text_list *to, const struct text_list *from)
{
    to->items = calloc(from->count + 1, sizeof *to->items);
    while (to->items && to->count < from->count) {
        to->items[to->count].text = strdup(from->items[to->count].text);
        if (!to->items[to->count].text)
            return -ENOMEM;
        to->count++;
    }
    return to->items ? 0 : -ENOMEM;
}

static void stats_free(struct stats *stats)
{
    while (stats->hosts.count > 0)
        free(stats->hosts.items[--stats->hosts.count].text);
    free(stats->hosts.items);
    free(stats);
}

static bool is_for_us(const struct stats *stats, struct MHD_Connection *connection)
{
    return http_host_allowed(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
        &stats->hosts);
}

static enum MHD_Result request(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **state)
{
    const struct stats *stats = context;
    (void)version;
    (void)upload;
    if (!http_is_whole(upload_len, state))
        return MHD_YES;
    if (!is_for_us(stats, connection))
        return http_respond_text(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                                 "use the address of this server, localhost, or a name of the "
                                 "setting stats.hosts\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return http_respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        const struct resource *resource = &resources[i];
        if (strcmp(url, resource->path) == 0 && (stats->top || !resource->of_top))
            return resource_send(stats, connection, resource);
    }
    return http_respond_text(
        connection, MHD_HTTP_NOT_FOUND,
        "not here; there are /, /metrics, /stats.json, /top.json (with `stats.top`), "
        "/healthz, /readyz\n");
}

static int listen_on(const struct address *address)
{
    struct sockaddr_in6 local;
    socklen_t len = sockaddr_write(&local, address);
    int fd = socket(local.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    bool ipv6 = local.sin6_family == AF_INET6; // as the engine's: the address may come later
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &on,
                   sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&local, len) != 0 || listen(fd, BACKLOG) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

struct stats *stats_open(const struct settings *settings, int *fd, char why[static STATS_WHY_SIZE])
{
    const struct address *address = &settings->stats_listen;
    struct stats *stats = calloc(1, sizeof *stats);
    if (!stats || hosts_copy(&stats->hosts, &settings->stats_hosts) < 0) {
        if (stats)
            stats_free(stats);
        snprintf(why, STATS_WHY_SIZE, "no memory for the stats server");
        return NULL;
    }
    stats->started = time(NULL);
    stats->top = settings->stats_top;
    stats->fd = *fd >= 0 ? *fd : listen_on(address);
    *fd = -1;
    if (stats->fd < 0) {
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        snprintf(why, STATS_WHY_SIZE, "cannot serve stats on %s: %s", text, strerror(-stats->fd));
        stats_free(stats);
        return NULL;
    }
    return stats;
}

bool stats_start(struct stats *stats, struct engine *engine, const struct log *log,
                 char why[static STATS_WHY_SIZE])
{
    stats->engine = engine;
    stats->log = log;
    stats->http = http_start(stats->fd, CONNECTIONS_MAX, IDLE_TIMEOUT_S,
                             &(struct http_handler){.take = request, .context = stats});
    if (!stats->http) {
        snprintf(why, STATS_WHY_SIZE, "cannot start the stats server");
        return false;
    }
    return true;
}

void stats_close(struct stats *stats)
{
    if (!stats)
        return;
    http_stop(stats->http, stats->fd);
    stats_free(stats);
}

int stats_fd(const struct stats *stats)
{
    return stats->fd;
}

void stats_unready(struct stats *stats, enum stats_unready why, bool on)
{
    if (on)
        __atomic_or_fetch(&stats->unready, 1u << why, __ATOMIC_RELAXED);
    else
        __atomic_and_fetch(&stats->unready, ~(1u << why), __ATOMIC_RELAXED);
}

void stats_yield(struct stats *stats)
{
    http_yield(stats->http);
}
