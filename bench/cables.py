# SPDX-License-Identifier: MIT
"""What the benchmarks stand on: commands with a clear end, servers in network namespaces of their
own with cables between them, and the load of kxdpgun over such a cable."""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import process

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, 'build')
ZONE = 'bench.example'
SERVER, GENERATOR = '10.53.0.1', '10.53.0.2'  # inside the namespaces alone


class Trouble(Exception):
    """Something that the user should be told in one sentence."""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            timeout=options.pop('timeout', 60), **options)
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip()
        raise Trouble(f'{" ".join(command)}: {words or f"status {result.returncode}"}')
    return result.stdout


def results_write(name, results):
    """Keeps what was measured for programs to read."""
    os.makedirs(os.path.join(BUILD, 'bench'), exist_ok=True)
    with open(os.path.join(BUILD, 'bench', f'{name}.json'), 'w', encoding='utf-8') as file:
        json.dump(results, file, indent=1)
        file.write('\n')
    print(f'written: build/bench/{name}.json')


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
        atexit.register(self.clean)
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(which, lambda number, frame: sys.exit(128 + number))

    def add(self, deed, *arguments):
        self.deeds.append((deed, arguments))

    def clean(self):
        while self.deeds:
            deed, arguments = self.deeds.pop()
            try:
                deed(*arguments)
            except Exception as fault:  # pylint: disable=broad-except
                print(f'bench: while cleaning up: {fault}', file=sys.stderr)


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
        for name, address in ((self.server, SERVER), (self.generator, GENERATOR)):
            run('ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', 'cable')
            run('ip', '-n', name, 'link', 'set', 'lo', 'up')
            run('ip', '-n', name, 'link', 'set', 'cable', 'up')
        for _ in range(100):
            states = [run('ip', '-n', name, '-br', 'link', 'show', 'cable')
                      for name in (self.server, self.generator)]
            if all(' UP ' in state for state in states):
                return
            time.sleep(0.05)
        raise Trouble('the cable between the namespaces does not come up')

    def command(self, name, *command):
        return ['ip', 'netns', 'exec', name, *command]


class Server:
    """A process in the server's namespace, ended by its own pid."""

    address = SERVER

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


def write_files(directory, count):
    """The zone, the configuration of NSD and the questions; returns their paths."""
    zone, config, questions = (os.path.join(directory, name)
                               for name in ('zone', 'nsd.conf', 'questions'))
    with open(zone, 'w', encoding='ascii') as file:
        file.write(f'$ORIGIN {ZONE}.\n$TTL 86400\n@ IN SOA ns h 1 7200 3600 1209600 300\n'
                   '@ IN NS ns\nns IN A 192.0.2.53\n')
        file.writelines(f'n{i} IN A 198.18.{i >> 8 & 255}.{i & 255}\n' for i in range(count))
    with open(config, 'w', encoding='ascii') as file:
        file.write(f'server:\n ip-address: 127.0.0.1@5301\n username: ""\n chroot: ""\n'
                   f' zonesdir: "{directory}"\n database: ""\n minimal-responses: yes\n'
                   f' zonelistfile: "{directory}/zone.list"\n xfrdfile: "{directory}/xfrd"\n'
                   f' xfrdir: "{directory}"\n pidfile: "{directory}/nsd.pid"\n'
                   ' rrl-ratelimit: 0\n'
                   f'remote-control:\n control-enable: no\nzone:\n name: {ZONE}\n'
                   f' zonefile: "{zone}"\n')
    with open(questions, 'w', encoding='ascii') as file:
        file.writelines(f'n{i}.{ZONE} A\n' for i in range(count))
    return config, questions


def warm(spaces, server, port, questions, count):
    """Asks every name once, and once more: nothing may be lost."""
    for _ in range(2):
        for _ in range(50):
            server.check()
            text = run(*spaces.command(spaces.generator, 'dnsperf', '-s', SERVER, '-p', str(port),
                                       '-d', questions, '-n', '1', '-q', '20', '-t', '2'),
                       timeout=120)
            lost = re.search(r'Queries lost:\s+(\d+)', text)
            good = re.search(r'NOERROR (\d+)', text)
            if lost and lost.group(1) == '0' and good and int(good.group(1)) == count:
                break
            time.sleep(0.2)
        else:
            raise Trouble(f'warming the server fails; dnsperf says:\n{text}')


def shoot(spaces, server, port, questions, arguments, *words):
    """One run of the generator; returns replies a second and CPU time a reply."""
    server.check()
    for _ in range(3):
        before = server.cpu_us()
        text = run(*spaces.command(
            spaces.generator, 'kxdpgun', '-t', str(arguments.seconds), '-Q', str(arguments.rate),
            '-F', str(arguments.generator_cpu), '-p', str(port), '-i', questions, *words,
            server.address),
                   timeout=arguments.seconds + 60)
        used = server.cpu_us() - before
        sent = re.search(r'total queries:\s+(\d+)', text)
        if sent:
            break
        # kxdpgun sometimes ends at once without a word: it has measured nothing then.
        time.sleep(1)
    server.check()
    got = re.search(r'total replies:\s+(\d+)', text)
    if not sent or not got or int(got.group(1)) == 0:
        raise Trouble(f'no replies; kxdpgun says:\n{text}')
    replies = int(got.group(1))
    good = re.search(r'responded NOERROR:\s+(\d+)', text)
    if not good or int(good.group(1)) != replies:
        raise Trouble(f'not all replies are good; kxdpgun says:\n{text}')
    return {'sent': int(sent.group(1)), 'replies': replies,
            'rate': replies / arguments.seconds, 'cpu_us': used / replies}
