# SPDX-License-Identifier: MIT
"""Names that are answered locally: hosts files, records of the settings, special names, block
lists."""

import os
import re
import subprocess

import dns.flags
import dns.rdatatype
import dns.reversename

import harness
from case import Case, SharedCase
from harness import ask, rdata_texts

HOSTS = '''# the office
192.0.2.9     printer.lan printer
2001:db8::9   printer.lan
192.0.2.10    blocked-but-here.ads.example
300.0.2.1     wrong.lan
'''
BLOCK = '''! a list of all forms
ads.example
0.0.0.0 tracker.example tracker2.example # both
||banner.example^
||shop.example^$third-party
@@||good.ads.example^
www.example.com/path
'''
ALLOW = 'allowed.tracker.example\n'
RECORDS = [
    'www.lan. 300 IN A 192.0.2.1',
    'www.lan. 300 IN A 192.0.2.2',
    'www.lan. 300 IN AAAA 2001:db8::1',
    'alias.lan. 60 CNAME www.lan.',
    'out.lan. 60 CNAME www.example.com.',
    'away.lan. CNAME target.example.com.',
    'lan. SOA ns.lan. host.lan. 1 2h 30m 2w 5m',
    'lan. NS ns.lan.',
    'lan. MX 10 mail.lan.',
    'lan. TXT "v=spf1 -all" "and more"',
    '_sip._udp.lan. SRV 1 2 5060 sip.lan.',
    'lan. CAA 0 issue "ca.example"',
    'svc.lan. HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 ech=AQID',
    'svc.lan. SVCB 2 other.lan. no-default-alpn alpn=dot mandatory=alpn key667=x',
    'host.lan. SSHFP 4 2 ' + '01' * 32,
    '_443._tcp.lan. TLSA 3 1 1 ' + 'ab' * 32,
    'sub.lan. DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118',
    'tel.lan. NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:a@b.c!" .',
    '1.2.0.192.in-addr.arpa. PTR www.lan.',
    'odd.lan. TYPE65280 \\# 4 0a0b0c0d',
]


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def settings_text(local, forward=''):
    """YAML, with the records between single quotes, which need no escapes."""
    lines = ['local:']
    for key, value in local.items():
        if key == 'records':
            lines.append('  records:')
            lines += [f"    - '{record}'" for record in value]
        else:
            lines.append(f'  {key}: {harness.yaml_value(value)}')
    return '\n'.join(lines) + '\n' + forward


class Local(SharedCase):
    PLANE = 1

    @classmethod
    def start_shared(cls):
        os.chmod(cls.shared_directory, 0o755)
        cls.fake = harness.FakeUpstream()
        cls.addClassCleanup(cls.fake.stop)
        local = {'hosts': [write(cls.shared_directory, 'hosts', HOSTS)],
                 'block': [write(cls.shared_directory, 'block', BLOCK)],
                 'allow': [write(cls.shared_directory, 'allow', ALLOW)],
                 'records': RECORDS}
        forward = (f'forward:\n  - zone: .\n    to: [{cls.fake}]\n'
                   f'  - zone: corp.test\n    to: [{cls.fake}]\n'
                   f'  - zone: 10.in-addr.arpa\n    to: [{cls.fake}]\n')
        cls.process = cls.keep_shared(harness.Ouzel(
            cls.shared_directory, settings=settings_text(local, forward), workers=2))

    def setUp(self):
        super().setUp()
        self.processes = [self.process]
        self.server = self.process.server
        self.fake.asked.clear()

    def local(self, name, rdtype='A', rcode='NOERROR', source='local', **options):
        """Asks for what must be answered here and counted so; returns the reply."""
        before = self.process.total('ouzel_answers_total', source=source)
        reply = ask(self.server, name, rdtype, **options)
        self.assert_status(reply, rcode)
        self.assertEqual(self.process.total('ouzel_answers_total', source=source), before + 1)
        self.assertEqual(self.fake.asked, [])
        self.assertEqual(bool(reply.flags & dns.flags.AA), source == 'local')
        self.assertTrue(reply.flags & dns.flags.RA)
        self.assertFalse(reply.flags & dns.flags.AD)
        return reply

    def forwarded(self, name, rdtype='A', **options):
        self.assert_status(ask(self.server, name, rdtype, **options), 'NOERROR')
        self.assertEqual(self.fake.names(), [name])
        self.fake.asked.clear()

    def assert_negative(self, reply, owner):
        self.assertEqual(reply.answer, [])
        self.assertEqual([str(rrset.name) for rrset in reply.authority], [owner])
        self.assertEqual(reply.authority[0].rdtype, dns.rdatatype.SOA)

    def test_records(self):
        """Each comes back as dnspython writes it too."""
        for record in RECORDS:
            words = record.replace(' IN ', ' ').split(' ')
            owner = words.pop(0)
            if re.fullmatch('[0-9]+', words[0]):
                words.pop(0)
            rdtype = words.pop(0)
            data = ' '.join(words)
            data = re.sub(r'2h 30m 2w 5m', '7200 1800 1209600 300', data)
            wanted = dns.rdata.from_text('IN', rdtype, data)
            with self.subTest(record=record):
                reply = self.local(owner, rdtype)
                found = [rdata for rrset in reply.answer for rdata in rrset]
                self.assertIn(wanted, found)

    def test_spelling_and_ttl(self):
        reply = self.local('WwW.LaN.')
        self.assertEqual(str(reply.answer[0].name), 'WwW.LaN.')
        self.assertEqual(reply.answer[0].ttl, 300)

    def test_addresses_take_turns(self):
        firsts = {str(self.local('www.lan').answer[0][0]) for _ in range(4)}
        self.assertEqual(firsts, {'192.0.2.1', '192.0.2.2'})

    def test_no_data(self):
        self.assert_negative(self.local('www.lan', 'TXT'), 'www.lan.')
        self.assert_negative(self.local('printer', 'AAAA'), 'printer.')

    def test_aliases(self):
        reply = self.local('alias.lan')
        self.assertEqual(rdata_texts(reply), ['192.0.2.1', '192.0.2.2', 'www.lan.'])
        self.assertEqual(rdata_texts(self.local('out.lan', 'CNAME')), ['www.example.com.'])

    def test_alias_to_the_outside(self):
        outside = rdata_texts(ask(self.server, 'www.example.net'))
        self.fake.asked.clear()
        for asked in (['target.example.com'], []):
            reply = ask(self.server, 'away.lan')
            self.assert_status(reply, 'NOERROR')
            self.assertEqual(rdata_texts(reply), sorted([*outside, 'target.example.com.']))
            self.assertEqual(self.fake.names(), asked)
            self.fake.asked.clear()
        self.assertEqual(self.process.total('ouzel_aliases_followed_total'), 1)

    def test_any(self):
        self.assertEqual(rdata_texts(self.local('www.lan', 'ANY')), ['192.0.2.1', '192.0.2.2'])

    def test_other_names_are_forwarded(self):
        self.forwarded('lan.example')
        self.forwarded('other.lan')
        self.forwarded('x.www.lan')

    def test_hosts(self):
        reply = self.local('printer.lan')
        self.assertEqual(rdata_texts(reply), ['192.0.2.9'])
        self.assertEqual(reply.answer[0].ttl, 60)
        self.assertEqual(rdata_texts(self.local('printer.lan', 'AAAA')), ['2001:db8::9'])
        self.assertEqual(rdata_texts(self.local('printer')), ['192.0.2.9'])
        for address in ('192.0.2.9', '2001:db8::9'):
            reverse = dns.reversename.from_address(address)
            self.assertEqual(rdata_texts(self.local(reverse, 'PTR')), ['printer.lan.'])
        self.assertEqual(rdata_texts(self.local('blocked-but-here.ads.example')), ['192.0.2.10'])

    def test_bits_and_edns(self):
        reply = self.local('www.lan', want_dnssec=True)
        self.assertTrue(reply.ednsflags & dns.flags.DO)
        self.assertEqual(reply.payload, 1232)
        self.assertEqual(self.local('www.lan').edns, -1)
        query = harness.query('www.lan')
        query.flags = dns.flags.CD
        reply = dns.message.from_wire(harness.ask_raw(self.server, query.to_wire()))
        self.assertTrue(reply.flags & dns.flags.CD)
        self.assertFalse(reply.flags & dns.flags.RD)
        self.assertEqual(len(reply.answer[0]), 2)

    def test_special_names(self):
        self.assertEqual(rdata_texts(self.local('a.localhost')), ['127.0.0.1'])
        self.assertEqual(rdata_texts(self.local('localhost', 'AAAA')), ['::1'])
        self.assert_negative(self.local('localhost', 'MX'), 'localhost.')
        for name in ('invalid', 'x.invalid', 'x.test', 'x.onion'):
            self.assert_negative(self.local(name, rcode='NXDOMAIN'), '.')
        self.assert_negative(self.local('x.home.arpa', rcode='NXDOMAIN'), 'home.arpa.')
        self.assert_negative(self.local('_dns.resolver.arpa', 'SVCB'), 'resolver.arpa.')
        self.assertEqual(rdata_texts(self.local('home.arpa', 'NS')), ['home.arpa.'])
        self.assertEqual(rdata_texts(self.local('1.0.0.127.in-addr.arpa', 'PTR')), ['localhost.'])
        for address, zone in (('192.168.1.1', '168.192'), ('172.31.0.1', '31.172'),
                              ('169.254.1.1', '254.169'), ('100.64.0.1', '64.100'),
                              ('0.1.2.3', '0')):
            reply = self.local(dns.reversename.from_address(address), 'PTR', rcode='NXDOMAIN')
            self.assert_negative(reply, f'{zone}.in-addr.arpa.')
        for address in ('fe80::1', 'fd00::1', '2001:db8::1'):
            self.local(dns.reversename.from_address(address), 'PTR', rcode='NXDOMAIN')

    def test_special_names_with_a_forward_zone(self):
        self.forwarded('www.corp.test')
        self.local('corp2.test', rcode='NXDOMAIN')
        self.forwarded('1.0.0.10.in-addr.arpa', 'PTR')
        self.forwarded('home.arpa', 'DS', want_dnssec=True)
        self.forwarded('local')

    def test_blocked(self):
        for name, zone in (('ads.example', 'ads.example.'), ('a.b.ADS.example', 'ads.example.'),
                           ('tracker.example', 'tracker.example.'),
                           ('x.tracker2.example', 'tracker2.example.'),
                           ('banner.example', 'banner.example.')):
            with self.subTest(name=name):
                reply = self.local(name, rcode='NXDOMAIN', source='blocked', use_edns=0)
                self.assertEqual(str(reply.authority[0].name).lower(), zone)
                self.assertEqual(harness.ede_codes(reply), [15])

    def test_not_blocked(self):
        for name in ('x.good.ads.example', 'allowed.tracker.example', 'shop.example', 'example',
                     'myads.example', 'www.example.com'):
            self.forwarded(name)

    def test_log_and_balance(self):
        text = self.process.output()
        self.assertRegex(text, 'a line is left out" path=\\S*hosts line=5 reason="not an IP addr')
        self.assertRegex(text, 'a line is left out" path=\\S*block line=7 reason="not a domain')
        self.assertRegex(text, 'names read" path=\\S*block names=5 lines_skipped=1 lines_bad=1')
        self.assert_balance(self.process)


class BlockAnswers(Case):
    PLANE = {'test_null': 5, 'test_refused': 1, 'test_clients_that_are_refused': 5,
             'test_without_special_names': 5}

    def start(self, **local):
        os.chmod(self.directory, 0o755)
        local['block'] = [write(self.directory, 'block', 'ads.example\n')]
        return self.ouzel(self.upstream(), settings={'local': local})

    def test_null(self):
        ouzel = self.start(**{'block-answer': 'null'})
        self.assertEqual(rdata_texts(ask(ouzel.server, 'x.ads.example')), ['0.0.0.0'])
        self.assertEqual(rdata_texts(ask(ouzel.server, 'x.ads.example', 'AAAA')), ['::'])
        reply = ask(ouzel.server, 'x.ads.example', 'HTTPS')
        self.assert_status(reply, 'NOERROR')
        self.assertEqual(reply.answer, [])
        self.assert_balance(ouzel)

    def test_refused(self):
        ouzel = self.start(**{'block-answer': 'refused'})
        reply = ask(ouzel.server, 'x.ads.example', use_edns=0)
        self.assert_status(reply, 'REFUSED')
        self.assertEqual([option.code for option in reply.options], [15])
        self.assertEqual(ouzel.total('ouzel_answers_total', source='blocked'), 1)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='refused'), 0)
        self.assert_balance(ouzel)

    def test_clients_that_are_refused(self):
        """What is local is for clients that may ask."""
        os.chmod(self.directory, 0o755)
        ouzel = self.ouzel(self.upstream(), settings={
            'local': {'records': ['x.lan. A 192.0.2.1']}, 'access': {'allow': ['127.1.0.0/16']}})
        self.assert_status(ask(ouzel.server, 'x.lan', source='127.2.0.1'), 'REFUSED')
        self.assertEqual(rdata_texts(ask(ouzel.server, 'x.lan', source='127.1.0.1')), ['192.0.2.1'])

    def test_without_special_names(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, settings={'local': {'special-names': False}})
        self.assertEqual(rdata_texts(ask(ouzel.server, 'x.test')), ['192.0.2.1'])
        self.assertEqual(upstream.names(), ['x.test'])


class Start(Case):
    def assert_refuses(self, settings, sentence):
        """Neither serve nor check takes these settings, and both say why."""
        for command in ('serve', 'check'):
            path = write(self.directory, 'settings.yaml', settings)
            with self.subTest(command=command):
                result = subprocess.run(
                    [harness.BINARY, command, '--config', path, '--upstream', '192.0.2.53',
                     '--listen', f'127.0.0.1:{harness.free_port()}', '--stats',
                     f'127.0.0.1:{harness.free_port()}'],
                    capture_output=True, text=True, timeout=20, check=False)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(sentence, result.stderr.replace('\\"', '"'))

    def test_unreadable_files(self):
        missing = os.path.join(self.directory, 'missing')
        for key in ('hosts', 'block', 'allow'):
            self.assert_refuses(f'local:\n  {key}: {missing}\n',
                                f'local.{key}: {missing} cannot be read: No such file')
        self.assert_refuses(f'local:\n  block: {self.directory}\n',
                            f'{self.directory} cannot be read: Is a directory')

    def test_bad_records(self):
        self.assert_refuses('local:\n  records:\n    - x. A 192.0.2.1\n    - y. A 192.0.2\n',
                            'settings.yaml:4: local.records: "y. A 192.0.2" is not valid: '
                            '192.0.2 is no IPv4 address')
        self.assert_refuses('local:\n  records:\n    - x. A 192.0.2.1\n    - x. CNAME y.\n',
                            'settings.yaml:4: local.records: "x. CNAME y.": a CNAME cannot')

    def test_many_names(self):
        """A list of 200,000 names, with a line that is longer than what is read at once."""
        path = os.path.join(self.directory, 'block')
        os.chmod(self.directory, 0o755)
        with open(path, 'w', encoding='ascii') as file:
            file.writelines(f'n{number}.list.example\n' for number in range(100000))
            file.write('x' * 200000 + '\n')
            file.writelines(f'0.0.0.0 m{number}.example\n' for number in range(100000))
            file.write('last.example')
        os.chmod(path, 0o644)
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, settings={'local': {'block': [path]}})
        for name in ('n0.list.example', 'a.n99999.list.example', 'm0.example', 'm99999.example',
                     'last.example'):
            self.assert_status(ask(ouzel.server, name), 'NXDOMAIN')
        for name in ('n100000.list.example', 'list.example', 'm100000.example'):
            self.assert_status(ask(ouzel.server, name), 'NOERROR')
        self.assertRegex(ouzel.output(), 'line=100001 reason="the line is too long"')
        self.assertRegex(ouzel.output(), 'names=200001 lines_skipped=0 lines_bad=1')
