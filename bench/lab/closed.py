# SPDX-License-Identifier: MIT
"""Load in a closed loop: dnsperf, which asks on when an answer has come or was given up. So a
server that is slower is asked less, and loses queries only for other reasons than pressure."""

import time

from bench.lab import process
from bench.lab.cables import Trouble, run
from bench.lab.peers import load

MANY = 200000  # names, above which they are learned with more of them in flight
PROBES_A_SECOND = 5  # datagrams to upstream that have nothing to do with what is asked


def ask(where, questions, *words, prefix=(), timeout_s=120):
    """Has dnsperf ask the server at this address and port; returns what it counted: `sent`, `lost`,
    `completed`, `good` (NOERROR), and `rate`, good answers a second."""
    text = run(*prefix, 'dnsperf', '-s', where[0], '-p', str(where[1]), '-d', questions, *words,
               timeout=timeout_s)
    try:
        got = load.read_dnsperf(text)
    except RuntimeError as fault:
        raise Trouble(str(fault)) from fault
    completed = sum(got['codes'].values())
    good = got['codes'].get('NOERROR', 0)
    return {'sent': got['sent'], 'lost': got['lost'], 'completed': completed, 'good': good,
            'rate': got['rate'] * good / max(completed, 1)}


def ask_all(peer, questions, flight, timeout_s=5):
    """One pass over the questions to a peer on loopback."""
    return ask((peer.address, peer.port), questions, '-n', '1', '-q', str(flight), '-t',
               str(timeout_s), '-c', '10', timeout_s=1800)


def measured(server, where, questions, words, prefix=(), meters=None, seconds=5):
    """A run of so many seconds; the same words as `shoot` has for an open loop, and the share of
    the questions that got no good answer."""
    got, used = process.metered(server, meters, lambda: ask(
        where, questions, '-l', str(seconds), *words, prefix=prefix, timeout_s=seconds + 60))
    if got['good'] == 0:
        raise Trouble('no good answers')
    return {'sent': got['sent'], 'replies': got['completed'], 'rate': got['rate'],
            'lost': 1 - got['good'] / got['sent'],
            **{name: value / got['completed'] for name, value in used.items()}}


def pass_over(server, where, questions, count, prefix):
    """Asks each name once; returns how many were answered well, and how many had to be asked for
    upstream, by the datagrams that left the server's namespace: one for each answer, two more (the
    question and NSD's answer) for each that was not known."""
    server.check()
    flight, threads = ('100', '10') if count > MANY else ('20', '1')
    before, start = process.datagrams_out(server.child.pid), time.monotonic()
    got = ask(where, questions, '-n', '1', '-q', flight, '-c', threads, '-t', '2', prefix=prefix,
              timeout_s=120 + count / 1000)
    out = process.datagrams_out(server.child.pid) - before - got['completed']
    probes = PROBES_A_SECOND * (time.monotonic() - start)
    return got['good'], max(out / 2 - probes, 0)


def popular_make(server, where, questions, count, prefix):
    """Asks all names again as often as this server wants, until it answers as it goes on to."""
    for _ in range(server.passes - 1):
        pass_over(server, where, questions, count, prefix)


def warm(server, where, questions, count, prefix, sample=None):
    """Makes a server in a separate namespace learn all names, and checks that it cached them: asks
    until all answers are good and hardly one was asked for. `sample` has a path and a count of
    names to look with where all are too many for it."""
    asked_before, path, names = count, questions, count
    for number in range(50 if count <= MANY else 6):
        good, asked = pass_over(server, where, path, names, prefix)
        if good == names and asked <= max(names / 1000, 10):
            popular_make(server, where, questions, count, prefix)
            return
        if good == names and number >= 2 and asked > 0.9 * asked_before:
            raise Trouble(f'it has cached {1 - asked / names:.0%} of {count:,} names')
        asked_before = asked
        if sample and path == questions and good == names:
            path, names = sample
        elif sample and path != questions:
            path, names = questions, count
        time.sleep(0.2)
    raise Trouble(f'it has answered {good:,} of {names:,} names in the last of many passes')
