# SPDX-License-Identifier: MIT
"""System calls for an answer from memory and for a forwarded question: ouzel and other forwarders
one after the other on loopback, before NSD, under a fixed number of questions of dnsperf in a
closed loop.

A count that slows the server down changes the result: more datagrams wait at a time, so a server
that takes many per call needs fewer calls. Therefore `perf stat` counts if the kernel allows it (a
tracepoint adds to a number), and otherwise `strace -c`, which stops the server twice for each call.
Each table names the method and the rate relative to a run without counting."""

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile

from bench.lab import peers
from bench.lab.cables import Trouble, left_out_text, results_write, run, stamp, tools_check
from bench.lab.nsd import nsd_start
from bench.lab.peers import harness
from bench.load.zipf import ZONE

TITLE = 'System calls'
NAMES = 1000  # that are known
TOTAL = 'raw_syscalls:sys_enter'
# What name servers call; the rest is shown as `others`. Events that never occur are not free: they
# are set up again whenever a thread gets its turn. So these are counted in a separate run.
CALLS = ('io_uring_enter', 'recvmsg', 'recvmmsg', 'recvfrom', 'sendmsg', 'sendmmsg', 'sendto',
         'read', 'write', 'readv', 'writev', 'epoll_wait', 'epoll_pwait', 'epoll_ctl', 'poll',
         'ppoll', 'select', 'pselect6', 'futex', 'socket', 'connect', 'bind', 'close', 'setsockopt',
         'getsockopt', 'getsockname', 'getpeername', 'fcntl', 'ioctl', 'getrandom', 'getpid',
         'clock_gettime', 'msync', 'mprotect')
SHOWN = 4
KINDS = {'memory': 'an answer from memory', 'forwarded': 'a forwarded question'}


def processes_of(pid):
    """It and its children, and theirs."""
    found = [pid]
    for parent in found:
        for thread in os.listdir(f'/proc/{parent}/task'):
            with open(f'/proc/{parent}/task/{thread}/children', encoding='ascii') as file:
                found += map(int, file.read().split())
    return found


class Perf:
    """Counts by the kernel's tracepoints. What perf mounts for itself goes with it."""

    name = 'perf stat'
    command = ['unshare', '--mount', 'perf', 'stat', '-x', ',']

    @classmethod
    def why_not(cls):
        """What is in its way; None: nothing."""
        if not shutil.which('perf'):
            return 'perf is not installed'
        done = subprocess.run([*cls.command, '-e', TOTAL, 'true'], capture_output=True, text=True,
                              check=False)
        words = (done.stderr or done.stdout).strip()
        if done.returncode == 0 and re.search(rf'^\d+,.*{TOTAL}', words, re.M):
            return None
        return f'perf cannot count system calls: {words.splitlines()[0] if words else "no word"}'

    def __init__(self, directory):
        self.out = os.path.join(directory, 'perf')

    @staticmethod
    def order(control, answers, word):
        """Has perf do something and waits until it has."""
        os.write(control, word.encode() + b'\n')
        if not select.select([answers], [], [], 10)[0] or not os.read(answers, 64):
            raise Trouble('perf does not answer')

    def count(self, pids, events, work):
        """Of each event how often it happens while `work` is done, and what that returns."""
        control_out, control = os.pipe()
        answers, answers_in = os.pipe()
        command = [*self.command, '-D', '-1', '-o', self.out, '-e', ','.join(events), '-p',
                   ','.join(map(str, pids)), '--control', f'fd:{control_out},{answers_in}']
        try:
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True,
                                  pass_fds=(control_out, answers_in)) as child:
                try:
                    self.order(control, answers, 'enable')
                    done = work()
                    self.order(control, answers, 'disable')
                finally:
                    child.send_signal(signal.SIGINT)
                    words = child.stderr.read()
        finally:
            for end in (control_out, control, answers, answers_in):
                os.close(end)
        with open(self.out, encoding='ascii', errors='replace') as file:
            rows = [line.split(',') for line in file if line.count(',') > 3]
        if len(rows) != len(events):
            raise Trouble(f'perf counts nothing: {words}')
        return {row[2]: int(row[0]) if row[0].isdigit() else 0 for row in rows}, done

    def watch(self, pids, work):
        """Calls in all and by their names, and what the first `work` returned."""
        total, done = self.count(pids, [TOTAL], work)
        named, again = self.count(pids, [f'syscalls:sys_enter_{call}' for call in CALLS], work)
        # Two runs: the names are shown as shares of the first.
        scale = done['completed'] / again['completed']
        calls = {event.split('enter_')[1]: count * scale for event, count in named.items() if count}
        rest = total[TOTAL] - sum(calls.values())
        if rest > total[TOTAL] / 100:
            calls['others'] = rest
        return total[TOTAL], calls, done


class Strace:
    """Counts by stopping at each call."""

    name = 'strace -c'

    @classmethod
    def why_not(cls):
        return None if shutil.which('strace') else 'strace is not installed'

    def __init__(self, directory):
        self.out = os.path.join(directory, 'strace')

    def watch(self, pids, work):
        words = [word for pid in pids for word in ('-p', str(pid))]
        with subprocess.Popen(['strace', '-f', '-c', '-o', self.out, *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as child:
            if 'attached' not in child.stderr.readline():
                raise Trouble(f'strace is not let in: {child.stderr.read()}')
            try:
                done = work()
            finally:
                child.send_signal(signal.SIGINT)
                child.stderr.read()
        with open(self.out, encoding='ascii', errors='replace') as file:
            rows = re.findall(r'^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\S+)$', file.read(), re.M)
        calls = {name: int(count) for count, name in rows if name != 'total'}
        return sum(calls.values()), calls, done


WAYS = {'perf': Perf, 'strace': Strace}


def way_choose(wanted):
    """The way that is wanted, or the gentlest that there is."""
    for way in [WAYS[wanted]] if wanted else WAYS.values():
        why_not = way.why_not()
        if not why_not:
            return way
        print(f'{way.name} is left out: {why_not}')
    raise Trouble('nothing here can count system calls')


class Asking:
    """Questions for one server: the same names again and again, or new ones each time."""

    def __init__(self, peer, directory, options):
        self.peer, self.options, self.number = peer, options, 0
        self.path = os.path.join(directory, 'questions')

    def ask(self, prefix, names, times):
        with open(self.path, 'w', encoding='ascii') as file:
            file.writelines(f'{prefix}{i}.{ZONE} A\n' for i in range(names))
        text = run('dnsperf', '-s', self.peer.address, '-p', str(self.peer.port), '-d', self.path,
                   '-n', str(times), '-q', str(self.options.flight), '-c', '10', '-t', '5',
                   timeout=600)
        got = {key: float(match[1]) for key, match in (
            ('completed', re.search(r'Queries completed:\s+(\d+)', text)),
            ('good', re.search(r'NOERROR (\d+)', text)),
            ('rate', re.search(r'Queries per second:\s+([\d.]+)', text))) if match}
        if len(got) < 3 or got['good'] < 0.99 * names * times:
            raise Trouble(f'dnsperf says:\n{text}')
        return got

    def memory(self):
        return self.ask('k', NAMES, max(self.options.count // NAMES, 1))

    def forwarded(self):
        self.number += 1
        return self.ask(f'f{self.number}x', self.options.count, 1)


def watch(kind, way, options):
    """Both counts of one server."""
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    peer = nsd = None
    try:
        nsd, address, port = nsd_start(directory)
        peer = kind(directory)
        peer.start([(address, port)])
        asking = Asking(peer, directory, options)
        if not harness.eventually(lambda: harness.ask_raw(
                (peer.address, peer.port), harness.plain_query(f'k0.{ZONE}'), 1), 10):
            raise Trouble('it does not answer')
        asking.memory()
        report = {'name': kind.name, 'version': kind.version()}
        for what in KINDS:
            ask = getattr(asking, what)
            free = ask()
            total, calls, done = way(directory).watch(processes_of(peer.child.pid), ask)
            most = sorted(calls.items(), key=lambda pair: -pair[1])
            report[what] = {
                'calls': total / done['completed'],
                'rate_of_unwatched': done['rate'] / free['rate'],
                'by_name': {name: count / done['completed'] for name, count in most}}
        return report
    finally:
        if peer:
            peer.stop()
        if nsd:
            nsd.terminate()
            nsd.wait(5)
        shutil.rmtree(directory, ignore_errors=True)


def cells(row):
    names = ', '.join(f'{name} {count:.2f}' for name, count in
                      [*row['by_name'].items()][:SHOWN] if count >= 0.005)
    return f'{row["calls"]:.2f} | {names} | {row["rate_of_unwatched"]:.2f}'


def table(rows):
    heads = ['server', *(head for words in KINDS.values() for head in (
        f'calls for {words}', 'most frequent', 'of the rate without counting'))]
    lines = [f'| {" | ".join(heads)} |', '|-' * len(heads) + '|']
    for row in sorted(rows, key=lambda row: row['memory']['calls']):
        lines.append(f'| {row["name"]} {row["version"]} | ' +
                     ' | '.join(cells(row[what]) for what in KINDS) + ' |')
    return '\n'.join(lines)


def measure(options):
    tools_check('dnsperf', 'nsd')
    if os.geteuid() != 0:
        raise Trouble('syscalls looks into other processes: run it as root')
    way = way_choose(options.way)
    rows, left_out = [], {}
    for kind in peers.chosen(options.peers, peers.CACHES):
        try:
            rows.append(watch(kind, way, options))
        except (Trouble, RuntimeError, OSError, subprocess.TimeoutExpired) as fault:
            left_out[kind.name] = str(fault)
            print(f'{kind.name} is left out: {fault}', flush=True)
            continue
        print('; '.join(f'{kind.name}: {rows[-1][what]["calls"]:.2f} calls for {words}'
                        for what, words in KINDS.items()), flush=True)
    if not rows:
        raise Trouble('nothing was counted')
    print(f'\nby {way.name}, {options.count:,} questions, {options.flight} in flight\n\n'
          f'{table(rows)}')
    measured = {**stamp(options), 'way': way.name, 'count': options.count,
                'flight': options.flight, 'rows': rows, 'left_out': left_out}
    results_write('syscalls', {**measured, 'tables': {'syscalls': measured}})


def section(tables):
    """The page's part."""
    data = tables['syscalls']
    return (f'@syscalls, by {data["way"]}, {data["count"]:,} questions of each kind, '
            f'{data["flight"]} in flight.\n\nHow often a server asks the kernel, which a busier '
            'one does less often where it takes many datagrams a call.\n\n'
            f'{table(data["rows"])}\n' +
            left_out_text(data))


def estimate_s(options):
    return 9 * (6 + options.count * 0.0006)
