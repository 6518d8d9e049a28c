# SPDX-License-Identifier: MIT
"""What clients can do to a name server: open connections by the hundred thousand, leave thousands
of them idle, and send floods in a victim's name; and the cost of the limits against that.

connections, idle and tcp go over loopback; flood and limits over cables between network namespaces
and need root. In each the load that others have is measured next to the same without the abuse."""

import os
import re
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time

from bench.lab.alone import FEW, Alone
from bench.lab.cables import (SERVER, Cleaner, Namespaces, Server, Trouble, results_write,
                              run, shoot, tools_check, write_files)
from bench.lab.closed import warm
from bench.lab.peers import harness
from bench.load.zipf import ZONE

VICTIM = '10.53.0.66'
PREFIXES = 10000


def settings_write(directory, name, settings):
    path = os.path.join(directory, name)
    with open(path, 'w', encoding='ascii') as file:
        file.write(harness.yaml_settings(settings))
    return path


# --- connections -------------------------------------------------------------------------------

def framed(number):
    data = harness.plain_query(f'n{number % FEW}.{ZONE}', ident=number & 0xffff)
    return struct.pack('>H', len(data)) + data


def open_and_close(server, source, count, bad):
    """One connection after the other, each with one question; every second one is reset."""
    for number in range(count):
        with socket.socket() as sock:
            sock.settimeout(10)
            sock.bind((source, 0))
            sock.connect(server)
            sock.sendall(framed(number))
            reply = sock.recv(512)
            if len(reply) < 14 or reply[2:4] != struct.pack('>H', number & 0xffff):
                bad.append(number)
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def connections(options, directory):
    """Opens and closes so many connections from ten addresses; what is left of them afterwards."""
    with Alone(directory) as alone:
        descriptors, resident = alone.ouzel.descriptors(), alone.resident_kib()
        bad, threads = [], []
        start, before = time.monotonic(), alone.cpu_us()
        for number in range(10):
            threads.append(threading.Thread(target=open_and_close, args=(
                alone.server, f'127.77.0.{number + 1}', options.connections // 10, bad)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        seconds, used = time.monotonic() - start, alone.cpu_us() - before
        harness.eventually(lambda: alone.ouzel.descriptors() == descriptors, 15)
        row = {'connections': options.connections, 'seconds': seconds, 'bad': len(bad),
               'cpu_us': used / options.connections,
               'descriptors_before': descriptors, 'descriptors_after': alone.ouzel.descriptors(),
               'resident_kib_before': resident, 'resident_kib_after': alone.resident_kib()}
    print(f'{row["connections"]:,} connections opened, asked on and closed in {seconds:.1f} s, '
          f'{row["bad"]} without their answer; {row["cpu_us"]:.1f} us of CPU each\n'
          f'descriptors {descriptors} before and {row["descriptors_after"]} after, resident '
          f'{resident:,} KiB before and {row["resident_kib_after"]:,} KiB after')
    return row


def idle(options, directory):
    """The rate over UDP with so many connections open and idle, and without, in turns."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (options.idle + 1000, options.idle + 1000))
    settings = {'server': {'tcp-connections-max': options.idle + 100,
                           'tcp-connections-per-client': options.idle,
                           'tcp-idle-timeout': '1h'}}
    rows = {'none': [], 'idle': []}
    with Alone(directory, settings) as alone:
        for _ in range(options.rounds):
            socks = []
            for kind in ('none', 'idle'):
                if kind == 'idle':
                    for number in range(options.idle):
                        sock = socket.create_connection(alone.server, 10)
                        sock.sendall(framed(number))
                        sock.recv(512)
                        socks.append(sock)
                rows[kind].append(alone.dnsperf('-q', '400', '-c', '10', '-T', '1', seconds=3))
            still = alone.ouzel.total('ouzel_tcp_connections_open')
            if still != options.idle:
                raise Trouble(f'of {options.idle} connections {still:.0f} are open')
            for sock in socks:
                sock.close()
            harness.eventually(lambda: alone.ouzel.total('ouzel_tcp_connections_open') == 0, 15)
            a, b = rows['none'][-1], rows['idle'][-1]
            print(f'  {a["rate"]:>9,.0f} a second without, {b["rate"]:>9,.0f} with '
                  f'{options.idle:,} idle connections; {a["cpu_us"]:.2f} and {b["cpu_us"]:.2f} us '
                  'of CPU an answer', flush=True)
    ratios = [b['rate'] / a['rate'] for a, b in zip(rows['none'], rows['idle'])]
    cpu = [a['cpu_us'] / b['cpu_us'] for a, b in zip(rows['none'], rows['idle'])]
    print(f'median of the rate with them over that without: {statistics.median(ratios):.3f} '
          f'(by CPU {statistics.median(cpu):.3f})')
    return {'rows': rows, 'ratio': statistics.median(ratios), 'by_cpu': statistics.median(cpu)}


def tcp(options, directory):
    """dnsperf over so many connections at once."""
    with Alone(directory) as alone:
        row = alone.dnsperf('-m', 'tcp', '-c', '200', '-q', '1000', seconds=options.seconds)
    print(f'{row["completed"]:,.0f} answers over 200 connections in {options.seconds} s '
          f'({row["rate"]:,.0f} a second, {row["cpu_us"]:.2f} us of CPU each), '
          f'{row["lost"]:.0f} lost')
    return row


# --- floods ------------------------------------------------------------------------------------

class Client:
    """A third namespace with a cable of its own to the server's: 10.54.0.1 there, 10.54.0.2
    here. It has nothing to do with the flood."""

    def __init__(self, cleaner, spaces):
        self.name = f'ouzel-client-{os.getpid()}'
        run('ip', 'netns', 'add', self.name)
        cleaner.add(run, 'ip', 'netns', 'del', self.name)
        run('ip', '-n', spaces.server, 'link', 'add', 'client', 'type', 'veth', 'peer', 'name',
            'cable', 'netns', self.name)
        for name, device, address in ((spaces.server, 'client', '10.54.0.1'),
                                      (self.name, 'cable', '10.54.0.2')):
            run('ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', device)
            run('ip', '-n', name, 'link', 'set', device, 'up')
        time.sleep(0.5)

    def dnsperf(self, questions, seconds):
        text = run('ip', 'netns', 'exec', self.name, 'dnsperf', '-s', '10.54.0.1', '-d', questions,
                   '-Q', '500', '-l', str(seconds), '-q', '1000', '-t', '2',
                   timeout=seconds + 30)
        return {key: float(re.search(rf'{words}\s+([\d.]+)', text).group(1)) for key, words in (
            ('completed', 'Queries completed:'), ('lost', 'Queries lost:'),
            ('mean_s', r'Average Latency \(s\):'), ('worst_s', r'Average Latency.*, max'))}


def flood_one(options, directory, spaces, client, questions, limits_):
    """Floods ouzel, started with these limits, in a victim's name; what the victim gets and what
    the client notices."""
    path = settings_write(directory, 'flood.yaml', {'limits': limits_} if limits_ else {})
    one = os.path.join(directory, 'one')
    with open(one, 'w', encoding='ascii') as file:
        file.write(f'n0.{ZONE} A\n')
    cleaner = Cleaner()
    try:
        server = Server(cleaner, directory, spaces.command(
            spaces.server, 'taskset', '-c', '1', options.ouzel, 'serve', '--workers', '1',
            '--listen', f'{SERVER}:53', '--listen', '10.54.0.1:53', '--upstream', '127.0.0.1:5301',
            '--stats', '127.0.0.1:9053', '--config', path))
        time.sleep(1)
        quiet = client.dnsperf(questions, 5)
        with subprocess.Popen(spaces.command(
                spaces.generator, 'kxdpgun', '-t', '7', '-Q', str(options.flood), '-F', '0', '-l',
                VICTIM, '-i', one, SERVER), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as load:
            time.sleep(1)
            during = client.dnsperf(questions, 5)
            text = load.communicate(timeout=60)[0]
        server.check()
    finally:
        cleaner.clean()
    sent = re.search(r'total queries:\s+(\d+)', text)
    got = re.search(r'total replies:\s+(\d+)', text)
    size = re.search(r'average DNS reply size:\s+(\d+)', text)
    if not sent or not got or not size:
        raise Trouble(f'kxdpgun says:\n{text}')
    asked = len(harness.plain_query(f'n0.{ZONE}'))
    return {'asked_s': int(sent.group(1)) / 7, 'replies_s': int(got.group(1)) / 7,
            'octets': int(got.group(1)) * int(size.group(1)) / (int(sent.group(1)) * asked),
            'quiet': quiet, 'during': during}


def flood(options, directory):
    """One name in the name of one victim, with no limit, with each, and with all. A client that has
    nothing to do with it asks 500 times a second meanwhile."""
    variants = (('none', {}), ('client-qps: 1000', {'client-qps': 1000}),
                ('same-answers: 20', {'same-answers': 20}),
                ('the same, slip: 10', {'same-answers': 20, 'slip': 10}),
                ('the same, slip: 0', {'same-answers': 20, 'slip': 0}))
    cleaner = Cleaner()
    rows = {}
    try:
        spaces = Namespaces(cleaner)
        client = Client(cleaner, spaces)
        config, questions = write_files(directory, FEW)
        # The victim answers no neighbour solicitation.
        address = run('ip', 'netns', 'exec', spaces.generator, 'cat',
                      '/sys/class/net/cable/address').strip()
        run('ip', '-n', spaces.server, 'neigh', 'add', VICTIM, 'lladdr', address, 'dev', 'cable')
        Server(cleaner, directory, spaces.command(spaces.server, 'nsd', '-d', '-c', config))
        for name, limits_ in variants:
            row = rows[name] = flood_one(options, directory, spaces, client, questions, limits_)
            before, then = row['quiet'], row['during']
            print(f'  {name:18} {row["asked_s"]:>8,.0f} queries and {row["replies_s"]:>8,.0f} '
                  f'replies a second, {row["octets"]:.2f} octets for one; client: '
                  f'{before["lost"]:.0f} lost, {before["mean_s"] * 1e3:.3f} ms before, '
                  f'{then["lost"]:.0f} lost, {then["mean_s"] * 1e3:.3f} ms meanwhile', flush=True)
    finally:
        cleaner.clean()
    return rows


def limits(options, directory):
    """Cached answers with an access list of 10,000 prefixes and quotas, and without, for a thousand
    clients; both servers rest while the other one is asked."""
    clients = '10.55.0.0/22'
    inside = [f'10.{64 + (i >> 8 & 63)}.{i & 255}.0/24' for i in range(PREFIXES - 2)]
    guarded = settings_write(directory, 'guarded.yaml', {
        'access': {'allow': ['10.53.0.0/16', clients, *inside]},
        'limits': {'client-qps': 1000000}})
    plain = settings_write(directory, 'plain.yaml', {'access': {'allow': ['10.0.0.0/8']}})
    cleaner = Cleaner()
    runs = {'plain': [], 'guarded': []}
    try:
        spaces = Namespaces(cleaner)
        config, questions = write_files(directory, FEW)
        run('ip', '-n', spaces.server, 'route', 'add', clients, 'via', '10.53.0.2')
        Server(cleaner, directory, spaces.command(spaces.server, 'taskset', '-c', '0', 'nsd', '-d',
                                                  '-c', config))
        servers = []
        for port, name, path in ((53, 'plain', plain), (54, 'guarded', guarded)):
            servers.append((name, port, Server(cleaner, directory, spaces.command(
                spaces.server, 'taskset', '-c', '1', options.ouzel, 'serve', '--workers', '1',
                '--listen', f'{SERVER}:{port}', '--upstream', '127.0.0.1:5301', '--stats',
                f'127.0.0.1:{9000 + port}', '--config', path))))
        time.sleep(1)
        for _, port, server in servers:
            warm(server, (SERVER, port), questions, FEW, spaces.command(spaces.generator))
        options.generator_cpu = 0
        for number in range(options.rounds):
            for name, port, server in servers[::1 if number % 2 else -1]:
                runs[name].append(shoot(spaces, server, port, questions, options,
                                        '-l', clients))
            a, b = runs['plain'][-1], runs['guarded'][-1]
            print(f'  {a["rate"]:>9,.0f} a second without, {b["rate"]:>9,.0f} with; '
                  f'{a["cpu_us"]:.2f} and {b["cpu_us"]:.2f} us of CPU an answer', flush=True)
    finally:
        cleaner.clean()
    ratios = [b['rate'] / a['rate'] for a, b in zip(runs['plain'], runs['guarded'])]
    print(f'median of the rate with 10,000 prefixes and quotas over that without: '
          f'{statistics.median(ratios):.3f}')
    return {'runs': runs, 'ratio': statistics.median(ratios)}


EXPERIMENTS = {experiment.__name__: experiment
               for experiment in (connections, idle, tcp, flood, limits)}


def measure(options):
    wanted = options.only or list(EXPERIMENTS)
    tools_check('dnsperf')
    if {'flood', 'limits'} & set(wanted):
        tools_check('ip', 'kxdpgun', 'nsd', 'taskset')
        if os.geteuid() != 0:
            raise Trouble('flood and limits make network namespaces: run them as root')
    report = {}
    for name in wanted:
        if name not in EXPERIMENTS:
            raise Trouble(f"there is no experiment '{name}'; there are: {', '.join(EXPERIMENTS)}")
        directory = tempfile.mkdtemp(prefix='ouzel-bench-')
        print(f'{name}: {" ".join(EXPERIMENTS[name].__doc__.split())}')
        try:
            report[name] = EXPERIMENTS[name](options, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    results_write('abuse', report)
