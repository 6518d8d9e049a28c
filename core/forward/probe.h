// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question.h"

// SOA probes: questions of our own for the SOA of a zone, which show whether an upstream is alive.
// Every server of the zone knows that answer, while a client's question may get no reply for
// reasons of its own. Probes with copies of clients' questions are schedule.h's.

// Sends one to each upstream of the zone that is silent and may be dead, or is dead and may be
// back, and is due. Where all of the zone's are dead, over TCP as well. No client waits for the
// answer, and a failure is not remembered. SOA probes find room in a full table.
void probe_start(struct forward *f, uint64_t now_us, const struct zone *zone);

// The time of a probe is over: an upstream that has not replied is silent.
void probe_due(struct forward *f, uint64_t now_us, struct question *probe);
