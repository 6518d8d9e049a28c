# SPDX-License-Identifier: MIT
"""All benchmarks of answers one after the other, each in a process of its own, so that none is left
with what another one has started. One that fails is reported, and the others are measured all the
same."""

import importlib
import os
import subprocess
import sys
import time

from bench.lab.cables import ROOT, Cleaner, Trouble, duration

BENCH = os.path.join(ROOT, 'scripts', 'bench')
PARTS = ('floor', 'hits', 'goodput', 'misses', 'scale', 'latency', 'memory', 'micro',
         'instructions', 'syscalls')


def part_run(name, words):
    """Returns whether all went well. A part that is ended with this script has much to undo, which
    is waited for."""
    with subprocess.Popen([sys.executable, BENCH, name, *words], stdin=subprocess.DEVNULL) as child:
        try:
            return child.wait() == 0
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait(60)


def measure(options):
    """`options.parts` has name, options and the words of the command line of each part."""
    Cleaner()  # makes an end by a signal one that is cleaned up after
    parts = [(name, words, importlib.import_module(f'bench.parts.{name}').estimate_s(own))
             for name, own, words in options.parts]
    for name, _, seconds in parts:
        print(f'{name:<14} about {duration(seconds)}')
    failed, start = [], time.monotonic()
    for number, (name, words, _) in enumerate(parts):
        left_s = sum(seconds for _, _, seconds in parts[number:])
        print(f'\n== {name} ({number + 1} of {len(parts)}), after '
              f'{duration(time.monotonic() - start)}; about {duration(left_s)} left for all',
              flush=True)
        if not part_run(name, words):
            failed.append(name)
            print(f'== {name} FAILED', flush=True)
    print(f'\n== all done in {duration(time.monotonic() - start)}')
    if failed:
        raise Trouble(f'parts that failed: {", ".join(failed)}')
