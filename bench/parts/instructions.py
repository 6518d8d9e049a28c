# SPDX-License-Identifier: MIT
"""User-space instructions for an answer from memory and for a forwarded question, counted by
callgrind: they repeat on a noisy machine, where times do not."""

import os
import tempfile

from bench.lab.cables import BUILD, Trouble, results_write, stamp, tools_check
from bench.lab.callgrind import FLIGHT, Callgrind, program_start
from bench.report import where

TITLE = 'Instructions for an answer'
OUZEL = os.path.join(BUILD, 'ouzel')
HIT_PROGRAM = os.path.join(BUILD, 'bench', 'micro', 'hit_instructions')
STEP_PROGRAM = os.path.join(BUILD, 'bench', 'micro', 'hit_steps')
STEPS = {'parse': 'reading the query', 'key': 'its key and hash', 'lookup': 'finding the answer',
         'patch': "making the answer's copy the client's"}
FRESH_SHARE = 10  # forwarded questions take so much longer


def instructions_of_hits(count, *who):
    """The same for core and cache alone: a program that answers from memory in-process, a thousand
    times a round; or does one of the steps as often."""
    program = STEP_PROGRAM if who and who[0] in STEPS else HIT_PROGRAM
    rounds = max(count // 1000, 1)
    totals = []
    for times in (rounds, 2 * rounds):
        with tempfile.TemporaryDirectory(prefix='ouzel-bench-') as directory, Callgrind(
                directory, [program, str(times), *who]) as ran:
            totals.append(ran.finish())
    return (totals[1] - totals[0]) / (rounds * 1000)


def count_all(arguments):
    """All of them, printed; by what was counted."""
    report = {}
    tools_check('valgrind', 'dnsperf')
    if os.path.exists(HIT_PROGRAM):
        report['core'] = instructions_of_hits(arguments.count)
        print(f'instructions for an answer from memory, core alone: {report["core"]:,.0f}')
        for who, what in (('clients', 'from a thousand clients'),
                          ('limits', 'the same with 10,000 prefixes and quotas'),
                          ('answers', 'the same with a limit to equal answers')):
            report[who] = instructions_of_hits(arguments.count, who)
            print(f'  {what}: {report[who]:,.0f} ({report["clients"] / report[who]:.3f})')
        for who, what in STEPS.items():
            report[who] = instructions_of_hits(arguments.count, who)
            print(f'  {who}, {what}: {report[who]:,.0f}')
    fresh_count = max(arguments.count // FRESH_SHARE, 1)
    try:
        with program_start(arguments.ouzel) as program:
            report['program'] = program.difference(program.ask_known, arguments.count)
            print('instructions for an answer from memory, whole program in user space: '
                  f'{report["program"]:,.0f}')
            report['forwarded'] = program.difference(program.ask_fresh, fresh_count)
            print('instructions for a forwarded question, the same, where each octet of much that '
                  f'is cleared may count as one: {report["forwarded"]:,.0f}')
        if arguments.ouzel == OUZEL:
            report['where'] = where.measure(arguments.count, fresh_count)
        else:
            print('a breakdown is available only for build/ouzel')
    except Trouble as fault:
        print(f'bench: the whole program could not be counted: {fault}')
    return report


def measure(arguments):
    report = count_all(arguments)
    table = {**stamp(arguments), 'counts': report}
    results_write('instructions', {**stamp(arguments), 'tables': {'instructions': table}})


WORDS = {'core': 'only core and cache', 'clients': 'the same, from a thousand clients',
         'limits': 'the same with 10,000 prefixes and quotas',
         'answers': 'the same with a limit on equal answers',
         'parse': 'its steps separately, each in a loop: parsing the query',
         'key': 'its key and hash', 'lookup': 'finding the answer',
         'patch': 'copying the answer and patching the copy for the client',
         'program': 'the whole program, names of 30 octets',
         'forwarded': 'the same for a forwarded question, names of 20 octets'}


def section(tables):
    """The page's part."""
    counts = tables['instructions']['counts']
    lines = ''.join(f'| {what} | {counts[who]:,.0f} |\n' for who, what in WORDS.items()
                    if who in counts)
    return ('@instructions.\n\nCounted by callgrind, in user space; they repeat exactly. The '
            f'whole program has {FLIGHT} known questions in flight, without EDNS, as dnsperf sends '
            f'them.\n\n| | instructions |\n|-|-|\n{lines}')


def estimate_s(options):
    return 60 + options.count * 0.005
