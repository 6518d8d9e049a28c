# SPDX-License-Identifier: MIT
"""Where the instructions of the whole program go, by what they are for. Callgrind counts each
instruction of a build that differs from the usual one by its line numbers alone; addr2line tells
which functions were inlined there. What belongs to nothing by itself, such as a copy of memory,
counts with those that called it. A `rep stosb` of the processor counts as one for each octet, so
what clears or copies much looks dearer than it is."""

import collections
import os
import re

from bench.lab.cables import BUILD, ROOT, run, tools_check
from bench.lab.callgrind import program_start

LINES = os.path.join(ROOT, 'build-lines')
CALLGRIND = ('--dump-instr=yes', '--dump-line=no', '--compress-pos=no', '--compress-strings=no')
SHOWN = 4  # functions named for each row

# What stands in the innermost place among the functions at an instruction decides; where none of
# these does, the directory of the outermost one.
FUNCTIONS = {
    'query_read': 'parse', 'key_make': 'key', 'cache_seek_bucket': 'lookup',
    'cache_seek_entry': 'lookup', 'cache_seek_end': 'lookup', 'cache_lookup': 'lookup',
    'cache_peek': 'lookup', 'cache_insert': 'store', 'answer_parse': 'store',
    'answer_give': 'answer', 'answer_give_more': 'answer', 'reply_empty': 'answer'}
DIRECTORIES = (('core/forward/', 'forward'), ('core/policy/', 'policy'))
WORDS = {
    'io': 'ring and worker (io)', 'parse': 'reading the query', 'key': 'its key and hash',
    'lookup': 'finding the answer', 'answer': "making it the client's",
    'policy': 'access and limits',
    'serve': 'joining these, counting', 'forward': 'questions and upstreams',
    'store': 'taking and keeping answers', 'other': 'other'}

Frame = collections.namedtuple('Frame', 'function path')
Call = collections.namedtuple('Call', 'caller address callee')


class Profile:
    """What one dump says: `own`, the instructions at each (function, address), and `calls`, those
    below each Call. A function is a pair of its object and its name."""

    def __init__(self, path):
        self.own, self.calls = collections.Counter(), collections.Counter()
        with open(path, encoding='utf-8', errors='replace') as file:
            self.read(file)

    def read(self, lines):
        place = called = called_place = function = None
        for line in lines:
            key, _, value = line.rstrip('\n').partition('=')
            if key == 'ob':
                place = value
            elif key == 'fn':
                function, called_place = (place, value), place
            elif key == 'cob':
                called_place = value
            elif key == 'cfn':
                called = (called_place, value)
            elif line.startswith('0x'):
                address, cost = line.split()
                if called:
                    self.calls[Call(function, int(address, 16), called)] += int(cost)
                    called, called_place = None, place
                else:
                    self.own[function, int(address, 16)] += int(cost)

    def less(self, other):
        """Takes off what another one has."""
        self.own.subtract(other.own)
        self.calls.subtract(other.calls)
        return self


def inlined(program, addresses):
    """The functions at each address, innermost first, with paths from the tree's top."""
    text = run('addr2line', '-a', '-i', '-f', '-e', program, *map(hex, sorted(addresses)))
    found, frames = {}, None
    lines = iter(text.splitlines())
    for line in lines:
        if re.fullmatch('0x[0-9a-f]+', line):
            frames = found[int(line, 16)] = []
        else:
            path = os.path.normpath(next(lines).split(':')[0])
            frames.append(Frame(re.sub(r'\.(lto_priv|part|isra|constprop|cold)\b.*', '', line),
                                os.path.relpath(path, ROOT)))
    return found


class Places:
    """Finds out what instructions are for."""

    def __init__(self, profile, program):
        self.program, self.profile = program, profile
        addresses = {address for (place, _), address in self.seen() if self.is_program(place)}
        self.frames = inlined(program, addresses)
        self.callers = collections.defaultdict(list)
        for call, cost in profile.calls.items():
            if cost > 0:
                self.callers[call.callee].append((call, cost))
        self.known = {}

    def seen(self):
        yield from self.profile.own
        for call in self.profile.calls:
            yield call.caller, call.address

    def is_program(self, place):
        return place is not None and os.path.realpath(place) == os.path.realpath(self.program)

    def frames_at(self, function, address):
        return self.frames.get(address, []) if self.is_program(function[0]) else []

    def group(self, frames):
        """What these functions are for; None: what their callers are."""
        for frame in frames:
            if frame.function in FUNCTIONS:
                return FUNCTIONS[frame.function]
            for directory, group in DIRECTORIES:
                if frame.path.startswith(directory) and frame.path.endswith('.c'):
                    return group
        if not frames or not frames[-1].path.startswith('io/'):
            return None
        # The linker has inlined what serve does into the worker.
        return 'serve' if any(re.match(r'core/\w+\.c$', frame.path) for frame in frames) else 'io'

    def shares(self, function):
        """Of what a function's instructions are that are for nothing by themselves, as shares."""
        if function in self.known:
            return self.known[function]
        self.known[function] = {'other': 1.0}  # where it calls itself
        shares = collections.Counter()
        total = sum(cost for _, cost in self.callers[function])
        for call, cost in self.callers[function]:
            for group, share in self.shares_at(call.caller, call.address).items():
                shares[group] += share * cost / total
        self.known[function] = shares or {'other': 1.0}
        return self.known[function]

    def shares_at(self, function, address):
        frames = self.frames_at(function, address)
        group = self.group(frames)
        if group:
            return {group: 1.0}
        shares = self.shares(function)
        if not frames or not frames[-1].path.startswith(('core/', 'cache/')):
            return shares
        # What the worker calls of core is no more its own.
        moved = collections.Counter()
        for group, share in shares.items():
            moved['serve' if group in ('io', 'other') else group] += share
        return moved

    def rows(self, count):
        """For each group its instructions and the functions that have most of them."""
        groups = collections.defaultdict(collections.Counter)
        for (function, address), cost in self.profile.own.items():
            frames = self.frames_at(function, address)
            name = frames[0].function if frames else function[1].split('@')[0].split("'")[0]
            if name.startswith('0x'):
                name = os.path.basename(function[0]).split('.')[0]
            for group, share in self.shares_at(function, address).items():
                groups[group][name] += cost * share / count
        return {group: {'instructions': sum(names.values()), 'functions': {
            name: cost for name, cost in names.most_common(SHOWN) if cost >= 1}}
                for group, names in groups.items()}


def build():
    """Builds the program with line numbers, as scripts/build does without."""
    if not os.path.exists(os.path.join(LINES, 'build.ninja')):
        with open(os.path.join(BUILD, '.options'), encoding='utf-8') as file:
            run('meson', 'setup', LINES, *file.read().split(), '-Ddebug=true', cwd=ROOT,
                timeout=300)
    run('ninja', '-C', LINES, 'ouzel', timeout=600)
    return os.path.join(LINES, 'ouzel')


def table(rows):
    total = sum(row['instructions'] for row in rows.values())
    lines = ['| | instructions | share | most of them in |', '|-|-|-|-|']
    for group, row in sorted(rows.items(), key=lambda pair: -pair[1]['instructions']):
        if round(row['instructions']) == 0:
            continue
        functions = ', '.join(f'{name} {cost:,.0f}' for name, cost in row['functions'].items())
        lines.append(f'| {WORDS[group]} | {row["instructions"]:,.0f} | '
                     f'{row["instructions"] / total:.1%} | {functions} |')
    return '\n'.join([*lines, f'| all | {total:,.0f} | | |'])


def measure(count, fresh_count):
    """Both tables, printed; by what was asked."""
    tools_check('addr2line', 'meson', 'ninja')
    program = build()
    report = {}
    with program_start(program, *CALLGRIND) as counted:
        for what, ask, times in (('an answer from memory', counted.ask_known, count),
                                 ('a forwarded question', counted.ask_fresh, fresh_count)):
            once, twice = (Profile(counted.ran.dump(ask, total)) for total in (times, 2 * times))
            report[what] = Places(twice.less(once), program).rows(times)
            print(f'\nwhere the instructions of {what} go:\n\n{table(report[what])}')
    return report
