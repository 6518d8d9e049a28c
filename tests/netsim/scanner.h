// SPDX-License-Identifier: MIT
#pragma once

// A host that sends what is hardly DNS: empty datagrams, a few octets, and queries that are longer
// than any buffer. What it gets for that is not looked at.

void scanner_begin(void);
void scanner_end(void);
