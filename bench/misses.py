# SPDX-License-Identifier: MIT
"""What a forwarded question costs: names that nobody has asked before, through ouzel and others in
turn, to NSD, all on loopback under dnsperf."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile

import peers
from cables import ZONE, Trouble, results_write
from peers import harness


def nsd_start(directory):
    """NSD with a zone in which every name exists; returns its process, address and port."""
    address, port = '127.0.0.1', harness.free_port()
    zone, config = (os.path.join(directory, name) for name in ('zone', 'nsd.conf'))
    with open(zone, 'w', encoding='ascii') as file:
        file.write(f'$ORIGIN {ZONE}.\n$TTL 86400\n@ IN SOA ns h 1 7200 3600 1209600 300\n'
                   '@ IN NS ns\nns IN A 192.0.2.53\n* IN A 192.0.2.1\n')
    with open(config, 'w', encoding='ascii') as file:
        file.write(f'server:\n ip-address: {address}@{port}\n username: ""\n chroot: ""\n'
                   f' zonesdir: "{directory}"\n database: ""\n minimal-responses: yes\n'
                   f' zonelistfile: "{directory}/zone.list"\n xfrdfile: "{directory}/xfrd"\n'
                   f' xfrdir: "{directory}"\n pidfile: "{directory}/nsd.pid"\n'
                   ' rrl-ratelimit: 0\nremote-control:\n control-enable: no\n'
                   f'zone:\n name: {ZONE}\n zonefile: "{zone}"\n')
    with open(os.path.join(directory, 'nsd.log'), 'wb') as log:
        child = subprocess.Popen(['nsd', '-d', '-c', config], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
    if not harness.eventually(lambda: child.poll() is not None or harness.ask_raw(
            (address, port), harness.plain_query(f'x.{ZONE}'), 0.2), 10) or \
            child.poll() is not None:
        raise Trouble('NSD does not start')
    return child, address, port


def questions_write(path, number, count):
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(f'r{number}x{i}.{ZONE} A\n' for i in range(count))


def ask_all(peer, questions, flight, timeout_s=5):
    """One pass over the questions; returns what dnsperf says of it."""
    return subprocess.run(
        ['dnsperf', '-s', peer.address, '-p', str(peer.port), '-d', questions, '-n', '1', '-q',
         str(flight), '-t', str(timeout_s), '-c', '10'], capture_output=True, text=True,
        check=False, timeout=1800).stdout


def load(peer, questions, options):
    """The same; returns what it took."""
    before = peer.cpu_us()
    text = ask_all(peer, questions, options.flight)
    used = peer.cpu_us() - before
    got = {key: float(match.group(1)) for key, match in (
        ('completed', re.search(r'Queries completed:\s+(\d+)', text)),
        ('lost', re.search(r'Queries lost:\s+(\d+)', text)),
        ('rate', re.search(r'Queries per second:\s+([\d.]+)', text))) if match}
    if len(got) < 3 or got['completed'] == 0:
        raise Trouble(f'dnsperf says:\n{text}')
    return {'rate': got['rate'], 'cpu_us': used / got['completed'], 'lost': int(got['lost'])}


def measure(options):
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    started, nsd = [], None
    runs = {}
    try:
        nsd, address, port = nsd_start(directory)
        for kind in peers.chosen(options.peers):
            started.append(kind(directory))
            started[-1].start([(address, port)])
        questions = os.path.join(directory, 'questions')
        print(f'{"round":>6}' + ''.join(f'  {peer.name:>10}/s {"us":>6} {"lost":>6}'
                                        for peer in started))
        for number in range(options.rounds):
            line = f'{number + 1:>6}'
            questions_write(questions, number, options.names)
            for peer in started:
                row = load(peer, questions, options)
                runs.setdefault(peer.name, []).append(row)
                line += f'  {row["rate"]:>12,.0f} {row["cpu_us"]:>6.2f} {row["lost"]:>6}'
            print(line, flush=True)
    finally:
        for peer in started:
            peer.stop()
        if nsd:
            nsd.terminate()
            nsd.wait(5)
        shutil.rmtree(directory, ignore_errors=True)
    medians = {name: {key: statistics.median(row[key] for row in rows)
                      for key in ('rate', 'cpu_us')} for name, rows in runs.items()}
    for name, row in medians.items():
        share = ''
        if name != 'ouzel' and 'ouzel' in medians:
            share = f'; ouzel takes {medians["ouzel"]["cpu_us"] / row["cpu_us"]:.2f} of that'
        print(f'{name}: {row["cpu_us"]:.2f} us of CPU for each forwarded question{share}')
    results_write('misses', {'medians': medians, 'runs': runs})
