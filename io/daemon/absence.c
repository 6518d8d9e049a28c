// SPDX-License-Identifier: MIT
#include "io/daemon/absence.h"

#include "io/daemon/daemon_state.h"
#include "io/net/udp.h"

// A machine that boots starts this program before it has all its addresses and knows its upstreams.
// Sockets are bound to addresses that come later (io/net/udp.c), so all there is to do for them
// is to tell; that the system names an upstream is found by the watch, and then a reload takes it.

static bool address_look(const struct daemon *d, const struct address *address, bool tell)
{
    char text[ADDRESS_TEXT_MAX];
    if (address->family == ADDRESS_NONE || udp_is_here(address))
        return true;
    address_format(address, text);
    if (tell)
        log_writef(&d->log, LOG_WARNING, "this address does not exist yet, waiting for it",
                   "address", "%s", text);
    return false;
}

// Are all addresses there?
static bool addresses_look(const struct daemon *d, bool tell)
{
    const struct settings *settings = settings_of(d);
    bool here = address_look(d, &settings->stats_listen, tell);
    for (size_t i = 0; i < settings->server_listen.count; i++)
        here &= address_look(d, &settings->server_listen.items[i], tell);
    return here;
}

static void unready_set(struct daemon *d, enum stats_unready why, bool on)
{
    if (d->stats)
        stats_unready(d->stats, why, on);
}

void absence_begin(struct daemon *d)
{
    const struct settings *settings = settings_of(d);
    bool upstream = settings->forward.count > 0, here = addresses_look(d, true);
    if (!upstream)
        log_write(&d->log, LOG_WARNING, "there is no upstream yet, waiting for one", NULL);
    unready_set(d, STATS_NO_UPSTREAM, !upstream);
    unready_set(d, STATS_NO_ADDRESS, !here);
    __atomic_store_n(&d->absent, !here, __ATOMIC_RELAXED);
    if (d->watch)
        watch_set(d->watch, settings->follows_system, &d->generation->system);
}

void absence_look(struct daemon *d)
{
    if (pthread_mutex_trylock(&d->turn) != 0)
        return; // the next time
    bool here = addresses_look(d, false);
    if (here && d->absent) {
        log_write(&d->log, LOG_INFO, "all addresses exist now", NULL);
        unready_set(d, STATS_NO_ADDRESS, false);
        __atomic_store_n(&d->absent, false, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&d->turn);
}
