// SPDX-License-Identifier: MIT
#pragma once

// The page at / of the stats address: self-contained, it fetches /stats.json every second.
extern const char stats_page[];
