# SPDX-License-Identifier: MIT
"""What the benchmarks build on: commands with a clear end, servers in separate network namespaces
with cables between them, and the load of kxdpgun over such a cable."""

import atexit
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from bench.lab import process
from bench.load import zipf
from bench.load.zipf import ZONE

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, 'build')
SERVER, GENERATOR = '10.53.0.1', '10.53.0.2'  # only inside the namespaces
SERVER6, GENERATOR6 = 'fd53::1', 'fd53::2'
UPSTREAM = ('127.0.0.1', 5301)  # NSD next to the server
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Trouble(Exception):
    """A problem that the user should see in one sentence."""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            timeout=options.pop('timeout', 60), **options)
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip()
        raise Trouble(f'{" ".join(command)}: {words or f"status {result.returncode}"}')
    return result.stdout


def machine():
    """What all this runs on, in a few words."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        model = re.search(r'^model name\s*:\s*(.*)', file.read(), re.M)
    return f'{os.cpu_count()} CPUs' + (f' ({model[1]})' if model else '')


def stamp(options):
    """When, on what and how something was measured: what stands with each table."""
    how = {name: getattr(options, name) for name in ('rounds', 'seconds') if name in options}
    return {'date': datetime.datetime.now().strftime('%Y-%m-%d %H:%M'),
            'kernel': os.uname().release, 'machine': machine(), **how}


def results_path(name):
    return os.path.join(BUILD, 'bench', f'{name}.json')


def results_write(name, results):
    """Keeps what was measured for programs to read."""
    os.makedirs(os.path.join(BUILD, 'bench'), exist_ok=True)
    with open(results_path(name), 'w', encoding='utf-8') as file:
        json.dump(results, file, indent=1)
        file.write('\n')
    print(f'written: build/bench/{name}.json')


def duration(seconds):
    """In words that an estimate can bear."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    if seconds < 5400:
        return f'{seconds / 60:.0f} min' if seconds >= 600 else f'{seconds / 60:.1f} min'
    return f'{seconds / 3600:.1f} h'


def leave_out(left_out, name, fault):
    """Reports a server that fails, and why, here and on the page."""
    left_out[name] = str(fault).splitlines()[0]
    print(f'{name} is left out: {fault}', file=sys.stderr)


def left_out_text(data):
    """The page's words about those."""
    return ''.join(f'\n{name} is left out: {why}.\n' for name, why in data['left_out'].items())


def round_tell(options, number, round_s):
    left_s = (options.rounds - number) * round_s
    print(f'round {number + 1} of {options.rounds}, {duration(left_s)} left', flush=True)


def tools_check(*names):
    for name in names:
        if not shutil.which(name):
            raise Trouble(f'{name} is not installed (scripts/setup does that)')


def cable_check(what, *more):
    """Can two namespaces be made here, with a server and a generator that have a CPU each?"""
    if os.geteuid() != 0:
        raise Trouble(f'{what} makes network namespaces: run it as root')
    tools_check('ip', 'kxdpgun', 'dnsperf', 'nsd', 'taskset', *more)
    if len(os.sched_getaffinity(0)) < 2:
        raise Trouble(f'{what} needs two CPUs: one for the server, one for the generator')


class Cleaner:
    """Undoes what was done, last things first, however the script ends."""

    def __init__(self):
        self.deeds = []
        atexit.register(self.finish)
        for which in SIGNALS:
            signal.signal(which, lambda number, frame: sys.exit(128 + number))

    def add(self, deed, *arguments):
        self.deeds.append((deed, arguments))

    def finish(self):
        """At the end of the script, when a second signal shall not leave half of it undone."""
        for which in SIGNALS:
            signal.signal(which, signal.SIG_IGN)
        self.clean()

    def clean(self):
        while self.deeds:
            deed, arguments = self.deeds.pop()
            try:
                deed(*arguments)
            except Exception as fault:  # pylint: disable=broad-except
                print(f'bench: while cleaning up: {fault}', file=sys.stderr)


def address_add(space, interface, address):
    """Of IPv6 an address that may be used at once."""
    ipv6 = ':' in address
    run('ip', '-n', space, 'addr', 'add', f'{address}/{64 if ipv6 else 24}', 'dev', interface,
        *(['nodad'] if ipv6 else []))


class Namespaces:
    """Two namespaces with a cable between them: `server` has 10.53.0.1, `generator` 10.53.0.2."""

    def __init__(self, cleaner):
        self.server = f'ouzel-server-{os.getpid()}'
        self.generator = f'ouzel-load-{os.getpid()}'
        for name in (self.server, self.generator):
            run('ip', 'netns', 'add', name)
            cleaner.add(run, 'ip', 'netns', 'del', name)
        run('ip', '-n', self.server, 'link', 'add', 'cable', 'numrxqueues', '1', 'numtxqueues', '1',
            'type', 'veth', 'peer', 'name', 'cable', 'numrxqueues', '1', 'numtxqueues', '1',
            'netns', self.generator)
        ends = (SERVER, SERVER6), (GENERATOR, GENERATOR6)
        for name, addresses in zip((self.server, self.generator), ends):
            for address in addresses:
                address_add(name, 'cable', address)
            run('ip', '-n', name, 'link', 'set', 'lo', 'up')
            run('ip', '-n', name, 'link', 'set', 'cable', 'up')
        for addresses in zip(*ends):
            self.neighbours_fix('cable', addresses)
        for _ in range(100):
            states = [run('ip', '-n', name, '-br', 'link', 'show', 'cable')
                      for name in (self.server, self.generator)]
            if all(' UP ' in state for state in states):
                return
            time.sleep(0.05)
        raise Trouble('the cable between the namespaces does not come up')

    def neighbours_fix(self, cable, addresses):
        """An entry that waits to be confirmed makes each packet dearer: whose turn that falls into
        would be chance."""
        ends = (self.server, self.generator)
        for name, other, address in zip(ends, ends[::-1], addresses[::-1]):
            link = json.loads(run('ip', '-j', '-n', other, 'link', 'show', cable))[0]
            run('ip', '-n', name, 'neigh', 'replace', address, 'lladdr', link['address'], 'nud',
                'permanent', 'dev', cable)

    def command(self, name, *command):
        return ['ip', 'netns', 'exec', name, *command]


def stage(cleaner):
    """A directory and namespaces to measure in, which go with the cleaner."""
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    cleaner.add(shutil.rmtree, directory, True)
    return directory, Namespaces(cleaner)


class Server:
    """A process in the server's namespace, ended by its own pid."""

    address, asking, interface = SERVER, GENERATOR, 'cable'

    def __init__(self, cleaner, directory, command):
        self.log = tempfile.mktemp('.log', 'server-', directory)
        with open(self.log, 'wb') as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT)
        cleaner.add(self.stop)

    def stop(self):
        process.stop(self.child)

    def check(self):
        if self.child.poll() is not None:
            with open(self.log, encoding='utf-8', errors='replace') as log:
                raise Trouble(f'a server ended by itself and says:\n{log.read()}')

    def cpu_us(self):
        return process.cpu_us(self.child.pid)


def nsd_config(directory, address, port):
    """Writes a zone in which every name exists and the configuration of NSD for it; returns the
    path of the latter."""
    zone, config = (os.path.join(directory, name) for name in ('zone', 'nsd.conf'))
    with open(zone, 'w', encoding='ascii') as file:
        file.write(f'$ORIGIN {ZONE}.\n$TTL 86400\n@ IN SOA ns h 1 7200 3600 1209600 300\n'
                   '@ IN NS ns\nns IN A 192.0.2.53\n* IN A 192.0.2.1\n' +
                   ''.join(map(zipf.Form.record, zipf.SIZES)))
    with open(config, 'w', encoding='ascii') as file:
        file.write(f'server:\n ip-address: {address}@{port}\n username: ""\n chroot: ""\n'
                   f' zonesdir: "{directory}"\n database: ""\n minimal-responses: yes\n'
                   f' zonelistfile: "{directory}/zone.list"\n xfrdfile: "{directory}/xfrd"\n'
                   f' xfrdir: "{directory}"\n pidfile: "{directory}/nsd.pid"\n'
                   ' rrl-ratelimit: 0\nremote-control:\n control-enable: no\n'
                   f'zone:\n name: {ZONE}\n zonefile: "{zone}"\n')
    return config


def write_files(directory, count, form=zipf.Form()):
    """The configuration of NSD and one question for each name; returns their paths."""
    questions = os.path.join(directory, 'questions')
    with open(questions, 'w', encoding='ascii') as file:
        file.writelines(form.learned(i) for i in range(count))
    return nsd_config(directory, *UPSTREAM), questions


def generate(spaces, program, where, rate, names, options, *more):
    """One run of a generator of ours (bench/load/load.h) at a rate, against an address and port;
    returns what it prints."""
    return run(*spaces.command(
        spaces.generator, 'taskset', '-c', str(options.generator_cpu),
        os.path.join(BUILD, 'bench', 'load', program), f'{where[0]}:{where[1]}', str(int(rate)),
        str(options.seconds), str(names), *more), timeout=options.seconds + 30)


def shoot(spaces, server, port, questions, arguments, *words, meters=None):
    """One run of the generator; returns replies a second and CPU time a reply, and for each meter
    (a name and a function) by how much it has risen for a reply."""
    command = spaces.command(
        spaces.generator, 'kxdpgun', '-t', str(arguments.seconds), '-Q', str(arguments.rate),
        '-F', str(arguments.generator_cpu), '-p', str(port), '-i', questions, *words,
        server.address)
    for _ in range(3):
        text, used = process.metered(server, meters,
                                     lambda: run(*command, timeout=arguments.seconds + 60))
        sent = re.search(r'total queries:\s+(\d+)', text)
        if sent:
            break
        # kxdpgun sometimes ends at once without a word: it has measured nothing then.
        time.sleep(1)
    got = re.search(r'total replies:\s+(\d+)', text)
    if not sent or not got or int(got.group(1)) == 0:
        raise Trouble(f'no replies; kxdpgun says:\n{text}')
    replies = int(got.group(1))
    octets = re.search(r'average DNS reply size:\s+(\d+) B', text)
    good = re.search(r'responded NOERROR:\s+(\d+)', text)
    if not good or int(good.group(1)) != replies:
        raise Trouble(f'not all replies are good; kxdpgun says:\n{text}')
    return {'sent': int(sent.group(1)), 'replies': replies, 'rate': replies / arguments.seconds,
            'octets': int(octets.group(1)) if octets else None,
            **{name: value / replies for name, value in used.items()}}
