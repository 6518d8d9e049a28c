# SPDX-License-Identifier: MIT
"""Tests of answers a second time, with answers in the driver (OUZEL_PLANE=xdp, which `run --planes`
sets): ouzel is at one end of a cable, with NSD and all that is fake, and its clients are behind it.

The tests stay what they are. Addresses of servers are of 172.16.0.0/16 in place of 127.0.0.0/8, and
those of clients, which the XDP program would not take from there, of 10.0.0.0/8. A class says by
PLANE that it is to be run so, with how often each query is asked: a number for all of its tests, or
{name: number}. The last reply, which the driver can have given, is what the test gets; the others
must say the same. What a test counts it can count right only where that is once. A file says by
PLANE_ANSWERS how many queries at least the driver has to answer of all that it asks (1).
"""

import contextlib
import os
import re
import unittest

import dns.message

from cable import Cable, ip

WANTED = os.environ.get('OUZEL_PLANE') == 'xdp'
SERVERS, CLIENTS = '172.16', '10'
TTL_TOLERANCE_S = 10
NOT_ALLOWED = re.compile('needs CAP_BPF|the kernel does not take it')


class Plane:
    def __init__(self):
        self.cable = None  # None: tests run as ever
        self.times = 1
        self.answered = 0
        self.forbidden = False

    def begin(self):
        self.cable = Cable()
        ip('addr', 'add', f'{SERVERS}.0.1/16', 'dev', 'cable')
        ip('route', 'add', 'local', f'{SERVERS}.0.0/16', 'dev', 'lo')
        ip('route', 'add', f'{CLIENTS}.0.0.0/8', 'dev', 'cable')
        with self.cable.far():
            ip('addr', 'add', f'{CLIENTS}.0.0.1/8', 'dev', 'far')
            ip('route', 'add', 'local', f'{CLIENTS}.0.0.0/8', 'dev', 'lo')
            ip('route', 'add', f'{SERVERS}.0.0/16', 'dev', 'far')

    @property
    def on(self):
        return self.cable is not None

    def serves(self, address):
        """Is this address at the other end of the cable for clients?"""
        return self.on and address.startswith(f'{SERVERS}.')

    def client_side(self, server):
        """Where a client's socket to this address is to be made."""
        return self.cable.far() if self.serves(server) else contextlib.nullcontext()

    def client(self, source, server):
        return client_of(source) if self.serves(server) else source

    def settings(self, settings):
        """Those of a test, with the driver in them."""
        if not self.on:
            return settings
        settings = {**settings, 'server': {'xdp': ['cable'], **settings.get('server', {})},
                    'cache': {'size': '8M', **settings.get('cache', {})}}
        if 'access' in settings:
            settings['access'] = {key: [client_of(prefix) for prefix in prefixes]
                                  for key, prefixes in settings['access'].items()}
        return settings

    def settings_text(self, text):
        return text + 'server:\n  xdp: [cable]\ncache:\n  size: 8M\n' if self.on else text

    def started(self, said):
        """A server has started, and said this. A test that needs more than is allowed ends."""
        if self.on and NOT_ALLOWED.search(said):
            self.forbidden = True
            raise unittest.SkipTest('BPF is not allowed here')

    def ends(self, server):
        if self.on and server.running():
            self.answered += int(server.total('ouzel_queries_total', transport='xdp'))


def client_of(text):
    return re.sub(r'^127\.', f'{CLIENTS}.', text)


def meaning(data):
    """What a reply says, without its ID, and its TTLs. Records of an RRset take turns."""
    message = dns.message.from_wire(data)
    sets = [(number, str(rrset.name), rrset.rdclass, rrset.rdtype, rrset.covers,
             tuple(sorted(rdata.to_text() for rdata in rrset)), rrset.ttl)
            for number, section in enumerate(message.sections[1:]) for rrset in section]
    sets.sort()
    said = (message.flags, message.rcode(), message.edns, message.ednsflags, message.payload,
            [str(question) for question in message.question],
            sorted((option.otype, option.to_text()) for option in message.options),
            [each[:-1] for each in sets])
    return said, [each[-1] for each in sets]


def compare(first, other):
    """Two replies to one query mean the same, but for some seconds."""
    if first[2:] == other[2:]:
        return
    said, ttls = meaning(first)
    also, lower = meaning(other)
    if said != also or any(abs(a - b) > TTL_TOLERANCE_S for a, b in zip(ttls, lower)):
        raise AssertionError(f'asked again, the reply is another:\n{dns.message.from_wire(first)}\n'
                             f'and then\n{dns.message.from_wire(other)}')


PLANE = Plane()
