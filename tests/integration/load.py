# SPDX-License-Identifier: MIT
"""A load of dnsperf against ouzel with NSD behind it, in two passes: one in which every name is new
and one in which every name is known. Used by test_load.py and by hand through dnsperf_full."""

import os
import re
import subprocess

import harness

ZONE = 'load.example'


def read_dnsperf(text):
    def number(pattern):
        match = re.search(pattern, text)
        if not match:
            raise RuntimeError(f'dnsperf said:\n{text}')
        return match.group(1)
    found = re.search(r'Response codes:\s+(.*)', text)
    codes = re.findall(r'(\w+) (\d+) \(', found.group(1) if found else '')
    return {
        'sent': int(number(r'Queries sent:\s+(\d+)')),
        'lost': int(number(r'Queries lost:\s+(\d+)')),
        'codes': {code: int(count) for code, count in codes},
        'rate': float(number(r'Queries per second:\s+([0-9.]+)'))}


def dnsperf(server, path, clients, *more):
    result = subprocess.run(
        [harness.find_tool('dnsperf'), '-s', server[0], '-p', str(server[1]), '-d', path,
         '-c', str(clients), '-T', '1', '-q', '100', '-t', '10', *more],
        capture_output=True, text=True, timeout=300, check=False)
    return read_dnsperf(result.stdout)


def wrong_answers(server, names):
    """Asks every name once more and compares each answer's address with the zone's."""
    labels = list(names)
    queries = [harness.plain_query(f'{label}.{ZONE}') for label in labels]
    wrong = []
    for label, query, reply in zip(labels, queries, harness.ask_many(server, queries)):
        wanted = bytes(int(part) for part in names[label].split('.'))
        data = len(query) + 12  # behind the question and the record's head with its pointer
        if reply is None or reply[3] & 15 or reply[6:8] != b'\0\1' or \
                reply[12:len(query)] != query[12:] or reply[data:data + 4] != wanted:
            wrong.append(label)
    return wrong[:10]


def two_passes(directory, name_count, seconds, workers, clients, keep):
    """`keep` gets each process started and ends it. Returns a report."""
    names = harness.numbered_names(name_count)
    zone_path = os.path.join(directory, 'load.zone')
    harness.write_zone(zone_path, ZONE, names)
    query_path = os.path.join(directory, 'load.queries')
    with open(query_path, 'w', encoding='utf-8') as file:
        file.writelines(f'{label}.{ZONE} A\n' for label in names)
    nsd = keep(harness.Nsd(directory, {ZONE: zone_path}))
    ouzel = keep(harness.Ouzel(directory, [nsd], workers=workers))
    start = nsd.queries()
    first = dnsperf(ouzel.server, query_path, clients, '-n', '1')
    between = nsd.queries()
    second = dnsperf(ouzel.server, query_path, clients, '-l', str(seconds))
    after = nsd.queries()
    report = {
        'first': first, 'second': second, 'asked_upstream_first': between - start,
        'asked_upstream_second': after - between,
        'wrong': wrong_answers(ouzel.server, names)}
    ouzel.quiet()
    report['imbalance'] = harness.imbalance(ouzel.metrics())
    return report
