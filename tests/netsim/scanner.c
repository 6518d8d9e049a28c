// SPDX-License-Identifier: MIT
#include "tests/netsim/scanner.h"

#include "tests/netsim/clients.h"
#include "tests/netsim/world.h"

enum { NUMBER = 60, PORT = 777, LONG = 2200 };

static struct {
    struct host host;
    struct alarm alarm;
    unsigned left;
} scanner;

static void ignore(void *context, const struct address *from, const uint8_t *bytes, size_t len)
{
    (void)context;
    (void)from;
    (void)bytes;
    (void)len;
}

// A good query in front of what does not belong to it.
static size_t long_write(uint8_t bytes[static LONG])
{
    struct cookie none = {0};
    struct ask ask;
    do
        ask = clients_ask(ASK_ANY);
    while (clients_run.shapes.items[ask.shape].odd);
    memset(bytes, 0, LONG);
    (void)ask_write(&clients_run.truth, &clients_run.shapes.items[ask.shape], &ask, 1, &none,
                    bytes);
    return ASK_QUERY_MAX + dice_below(&clients_run.dice, LONG - ASK_QUERY_MAX + 1);
}

static void send_one(void *context)
{
    uint8_t bytes[LONG] = {0};
    struct address server = clients_server(1, false);
    size_t len = dice_below(&clients_run.dice, 16);
    (void)context;
    if (dice_chance(&clients_run.dice, 500))
        len = long_write(bytes);
    (void)network_to_engine(&scanner.host.at, &server, bytes, len, false);
    if (--scanner.left > 0)
        alarm_set(&scanner.alarm,
                  world.now_us + dice_below(&clients_run.dice, (uint32_t)world.params.span_us));
}

void scanner_begin(void)
{
    scanner.host =
        (struct host){.at = clients_address(NUMBER, false, false, PORT), .datagram = ignore};
    scanner.alarm = (struct alarm){.run = send_one};
    scanner.left = dice_below(&clients_run.dice, 8);
    network_add(&scanner.host);
    if (scanner.left > 0)
        alarm_set(&scanner.alarm, world.now_us + 1);
}

void scanner_end(void)
{
    alarm_stop(&scanner.alarm);
    network_remove(&scanner.host);
}
