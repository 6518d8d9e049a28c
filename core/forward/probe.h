// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question.h"

// Questions of our own: for the SOA of a zone, to see whether an upstream is there.

// Where an upstream of this zone is silent and may be dead, or is dead and may be back, and is due
// for a trial, it is asked for the zone's own SOA, which every server of the zone knows: what
// clients ask may be silent by itself. Where none of the zone's is there, over TCP too. Nobody
// waits for the answer and its failure is not remembered. Probes find room whatever the table
// holds.
void probe_start(struct forward *f, uint64_t now_us, const struct zone *zone);

// The time of a probe is over: whoever has not replied to it is silent.
void probe_due(struct forward *f, uint64_t now_us, struct question *probe);
