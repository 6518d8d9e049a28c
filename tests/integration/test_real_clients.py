# SPDX-License-Identifier: MIT
"""Clients that others have written: kdig, dig, delv, drill, host, nslookup, the C library's
getaddrinfo, dnspython's resolver and dnsperf. They look at an answer as their users do, and some
more closely than our own tests: delv and drill validate a signed zone through ouzel."""

import os
import re
import shutil
import subprocess
import unittest

import dns.resolver

import harness
from case import SharedCase
from harness import find_tool

ZONE = 'ouzel.example'


def run(*command, timeout=20):
    """What the command says, and its status."""
    result = subprocess.run([find_tool(command[0]), *command[1:]], capture_output=True, text=True,
                            check=False, timeout=timeout * harness.PATIENCE)
    return result.stdout + result.stderr, result.returncode


def zone_sign(directory):
    """Signs the sample zone with a key made for it; returns the paths of zone and key."""
    plain, signed = (os.path.join(directory, name) for name in ('plain.zone', 'signed.zone'))
    shutil.copy(harness.SAMPLE_ZONE, plain)
    name = subprocess.run([find_tool('ldns-keygen'), '-a', 'ECDSAP256SHA256', '-k', ZONE],
                          capture_output=True, text=True, check=True, cwd=directory).stdout.strip()
    subprocess.run([find_tool('ldns-signzone'), '-n', '-f', signed, plain, name], check=True,
                   cwd=directory, capture_output=True)
    return signed, os.path.join(directory, f'{name}.key')


class RealClients(SharedCase):
    @classmethod
    def start_shared(cls):
        signed, cls.key = zone_sign(cls.shared_directory)
        cls.nsd = cls.keep_shared(harness.Nsd(cls.shared_directory, {ZONE: signed}))
        cls.server_process = cls.keep_shared(harness.Ouzel(
            cls.shared_directory, [cls.nsd], workers=2,
            settings={'server': {'identity': 'ns1 (campus)', 'version': True}}))

    def client(self, program, *words):
        """A client with dig's arguments; what it says."""
        said, status = run(program, f'@{self.server[0]}', '-p', str(self.server[1]), *words)
        self.assertEqual(status, 0, said)
        return said

    def test_kdig(self):
        for transport in ('+notcp', '+tcp'):
            said = self.client('kdig', transport, '+keepopen', '+nsid', f'www.{ZONE}', 'A',
                               f'www.{ZONE}', 'AAAA', f'nowhere.{ZONE}', f'{ZONE}', 'MX')
            self.assertEqual(re.findall(r'status: (\w+)', said),
                             ['NOERROR', 'NOERROR', 'NXDOMAIN', 'NOERROR'])
            self.assertEqual(said.count('"ns1 (campus)"'), 4)
            for record in ('192.0.2.80', '2001:db8::80', '10 mail.ouzel.example.'):
                self.assertIn(record, said)
            self.assertNotIn('WARNING', said)

    def test_kdig_with_odd_options(self):
        said = self.client('kdig', '+padding=128', '+subnet=192.0.2.0/24', '+cookie', '+nocrypto',
                           '+dnssec', f'www.{ZONE}')
        self.assertIn('status: NOERROR', said)
        self.assertIn('RRSIG', said)
        self.assertNotIn('CLIENT-SUBNET', said)
        self.assertNotIn('WARNING', said)

    def test_dig(self):
        said = self.client('dig', f'www.{ZONE}')
        self.assertIn('status: NOERROR', said)
        self.assertRegex(said, r'flags: qr rd ra;')
        self.assertRegex(said, r'COOKIE: [0-9a-f]{48} \(good\)')
        self.assertRegex(said, r'www\.ouzel\.example\.\s+\d+\s+IN\s+A\s+192\.0\.2\.80')
        self.assertNotIn('WARNING', said)

    def test_dig_changes_to_tcp(self):
        for size in ('+bufsize=4096', '+bufsize=512', '+noedns'):
            said = self.client('dig', size, f'large.{ZONE}', 'TXT')
            self.assertIn('Truncated, retrying in TCP mode', said)
            self.assertIn('ANSWER: 24,', said)
            self.assertIn('24 of 24: the ring ouzel', said)

    def test_dig_settles_on_a_version(self):
        said = self.client('dig', '+edns=7', f'www.{ZONE}')
        self.assertIn('BADVERS, retrying with EDNS version 0', said)
        self.assertIn('status: NOERROR', said)

    def test_dig_gets_an_error_for_what_ouzel_does_not_do(self):
        self.assertIn('status: REFUSED', self.client('dig', '+norec', f'never-asked.{ZONE}'))
        self.assertIn('status: NOTIMP', self.client('dig', '+opcode=4', f'www.{ZONE}'))
        self.assertIn('Transfer failed', self.client('dig', ZONE, 'AXFR'))

    def test_dig_asks_for_the_identity(self):
        for name, text in (('version.bind', r'"ouzel [\d.]+"'),
                           ('id.server', r'"ns1 \(campus\)"')):
            self.assertRegex(self.client('dig', '+short', 'CH', 'TXT', name), text)

    def test_delv_validates(self):
        """What a validating client needs comes through: signatures, denials, keys; with CD."""
        with open(self.key, encoding='ascii') as file:
            fields = file.read().split(';')[0].split()
        flags, protocol, algorithm, *key = fields[fields.index('DNSKEY') + 1:]
        anchor = os.path.join(self.shared_directory, 'anchor')
        with open(anchor, 'w', encoding='ascii') as file:
            file.write(f'trust-anchors {{ {ZONE}. static-key {flags} {protocol} {algorithm} '
                       f'"{"".join(key)}"; }};\n')
        for name, rdtype in (('www', 'A'), ('alias', 'AAAA'), ('any.wild', 'TXT'),
                             ('large', 'TXT'), ('odd', 'TYPE65280')):
            said = self.client('delv', '-a', anchor, f'+root={ZONE}', f'{name}.{ZONE}', rdtype)
            self.assertIn('; fully validated', said)
        for name, rdtype in (('nowhere', 'A'), ('www', 'MX'), ('any.wild', 'A'), ('svc', 'A')):
            said, _ = run('delv', f'@{self.server[0]}', '-p', str(self.server[1]), '-a', anchor,
                          f'+root={ZONE}', f'{name}.{ZONE}', rdtype)
            self.assertIn('fully validated', said)

    def test_drill(self):
        said = self.client('drill', f'www.{ZONE}')
        self.assertIn('rcode: NOERROR', said)
        self.assertIn('192.0.2.80', said)
        said = self.client('drill', '-S', '-k', self.key, f'www.{ZONE}')
        self.assertIn('Chase successful', said)
        self.assertIn('ANSWER: 24,', self.client('drill', '-t', f'large.{ZONE}', 'TXT'))

    def test_host_and_nslookup(self):
        address, port = self.server[0], str(self.server[1])
        said, status = run('host', '-p', port, f'alias.{ZONE}', address)
        self.assertEqual(status, 0, said)
        self.assertIn('alias.ouzel.example is an alias for alias2.ouzel.example.', said)
        self.assertIn('www.ouzel.example has IPv6 address 2001:db8::80', said)
        said, status = run('nslookup', f'-port={port}', f'nowhere.{ZONE}', address)
        self.assertEqual(status, 1, said)
        self.assertIn('NXDOMAIN', said)

    def test_dnspython_resolver(self):
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [self.server[0]], self.server[1]
        resolver.lifetime = 10 * harness.PATIENCE
        found = {str(rdata) for rdata in resolver.resolve(f'round.{ZONE}', 'A')}
        self.assertEqual(found, {f'192.0.2.{100 + i}' for i in range(1, 5)})
        self.assertEqual(len(resolver.resolve(f'large.{ZONE}', 'TXT')), 24)
        self.assertEqual(str(resolver.resolve(f'alias.{ZONE}', 'A').canonical_name),
                         'www.ouzel.example.')
        with self.assertRaises(dns.resolver.NXDOMAIN):
            resolver.resolve(f'nowhere.{ZONE}', 'A')
        with self.assertRaises(dns.resolver.NoAnswer):
            resolver.resolve(f'www.{ZONE}', 'MX')

    def test_dnsperf_over_tcp(self):
        """Many connections at once, closed and opened again all the while; none loses a query."""
        path = os.path.join(self.shared_directory, 'questions')
        with open(path, 'w', encoding='ascii') as file:
            file.writelines(f'{name}.{ZONE} A\n' for name in ('www', 'round', 'mail', 'crowd'))
        said, status = run('dnsperf', '-m', 'tcp', '-s', self.server[0], '-p', str(self.server[1]),
                           '-d', path, '-c', '100', '-q', '400', '-l', '3', '-O',
                           'num-queries-per-conn=50')
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r'Queries lost:\s+0 ')
        self.assertRegex(said, r'NOERROR \d+ \(100\.00%\)')
        self.assertGreater(int(re.search(r'Queries completed:\s+(\d+)', said).group(1)), 1000)


class GetAddrInfo(SharedCase):
    """glibc asks port 53 of what /etc/resolv.conf names. Both are made for one process alone: an
    address of the loopback network, and a file of its own in a mount namespace."""

    @classmethod
    def start_shared(cls):
        if subprocess.run(['unshare', '--mount', 'true'], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest('mount namespaces cannot be made here')
        cls.nsd = cls.keep_shared(harness.Nsd(cls.shared_directory, {ZONE: harness.SAMPLE_ZONE}))
        address = harness.fresh_address()
        cls.server_process = cls.keep_shared(harness.Ouzel(
            cls.shared_directory, [cls.nsd], workers=2, listen=[(address, 53)]))
        for name, text in (('resolv.conf', f'nameserver {address}\noptions edns0 trust-ad\n'),
                           ('nsswitch.conf', 'hosts: dns\n')):
            with open(os.path.join(cls.shared_directory, name), 'w', encoding='ascii') as file:
                file.write(text)

    def getent(self, *words):
        script = ''.join(f'mount --bind "$0/{name}" /etc/{name} && '
                         for name in ('resolv.conf', 'nsswitch.conf'))
        said, status = run('unshare', '--mount', 'sh', '-c', script + 'exec getent "$@"',
                           self.shared_directory, *words)
        return sorted(set(line.split()[0] for line in said.splitlines())), status

    def test_both_families(self):
        self.assertEqual(self.getent('ahosts', f'www.{ZONE}'), (['192.0.2.80', '2001:db8::80'], 0))
        self.assertEqual(self.getent('ahostsv4', f'alias.{ZONE}'), (['192.0.2.80'], 0))
        self.assertEqual(len(self.getent('ahostsv4', f'crowd.{ZONE}')[0]), 60)

    def test_what_does_not_exist(self):
        self.assertEqual(self.getent('ahosts', f'nowhere.{ZONE}'), ([], 2))
        self.assertEqual(self.getent('ahosts', f'_dns._udp.{ZONE}'), ([], 2))
