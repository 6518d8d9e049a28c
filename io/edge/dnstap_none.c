// SPDX-License-Identifier: MIT
#include "io/edge/dnstap.h"

#include <stdio.h>

// Built without fstrm or protobuf-c.

struct dnstap *dnstap_open(const char *path, const char *identity, char why[static DNSTAP_WHY_SIZE])
{
    (void)path;
    (void)identity;
    snprintf(why, DNSTAP_WHY_SIZE, "this ouzel was built without dnstap");
    return NULL;
}

bool dnstap_tell(struct dnstap *dnstap, const struct logged_answer *logged,
                 const struct client *client, const uint8_t *reply, size_t len)
{
    (void)dnstap;
    (void)logged;
    (void)client;
    (void)reply;
    (void)len;
    return true;
}

void dnstap_close(struct dnstap *dnstap)
{
    (void)dnstap;
}
