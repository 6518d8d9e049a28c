# SPDX-License-Identifier: MIT
"""The benchmarks. scripts/bench runs them.

  micro/    programs that time or count the steps of an answer, without a socket
  load/     generators of load, and the echoes, which are the floors
  lab/      what sets up a measurement: namespaces and cables, servers, callgrind
  report/   tables, drawings and docs/benchmarks.md
  parts/    one file for each part of scripts/bench
  tests/    tests of all this, and of what an answer from memory may cost

They may use anything of the product and of its tests, which use nothing of them.
"""
