# SPDX-License-Identifier: MIT
"""Answers that come through ouzel from a real name server, NSD with the sample zone."""

import struct

import dns.flags
import dns.message
import dns.rdatatype

import harness
from case import Case, SharedCase
from harness import ask, rdata_texts

PLANE_ANSWERS = 250


class ThroughNsd(SharedCase):
    ENGINES = True
    PLANE = 5

    @classmethod
    def start_shared(cls):
        cls.nsd_server = cls.keep_shared(
            harness.Nsd(cls.shared_directory, {'ouzel.example': harness.SAMPLE_ZONE}))
        cls.server_process = cls.keep_shared(
            harness.Ouzel(cls.shared_directory, [cls.nsd_server], workers=2))

    def setUp(self):
        super().setUp()
        self.direct = (self.nsd_server.address, self.nsd_server.port)

    def assert_same(self, name, rdtype, **options):
        """Asked twice (upstream, memory) ouzel gives the records that NSD gives."""
        wanted = ask(self.direct, name, rdtype, **options)
        for where in ('upstream', 'memory'):
            with self.subTest(name=name, type=rdtype, where=where):
                got = ask(self.server, name, rdtype, **options)
                self.assertIsNotNone(got, 'no reply')
                self.assertEqual(got.rcode(), wanted.rcode())
                self.assertEqual(rdata_texts(got), rdata_texts(wanted))
                self.assertTrue(got.flags & dns.flags.QR)
                self.assertTrue(got.flags & dns.flags.RA)
                self.assertFalse(got.flags & dns.flags.AA)
                self.assertFalse(got.flags & dns.flags.AD)
        return wanted

    def test_types_of_rfc_1035(self):
        for name, rdtype in (('ouzel.example', 'A'), ('ouzel.example', 'MX'),
                             ('ouzel.example', 'TXT'), ('ouzel.example', 'NS'),
                             ('ouzel.example', 'SOA'), ('10.ouzel.example', 'PTR'),
                             ('round.ouzel.example', 'A')):
            self.assertTrue(self.assert_same(name, rdtype).answer)

    def test_newer_types(self):
        for name, rdtype in (('ouzel.example', 'AAAA'), ('ouzel.example', 'CAA'),
                             ('_dns._udp.ouzel.example', 'SRV'), ('svc.ouzel.example', 'HTTPS'),
                             ('svc.ouzel.example', 'SVCB'), ('host.ouzel.example', 'SSHFP'),
                             ('_443._tcp.ouzel.example', 'TLSA'),
                             ('odd.ouzel.example', 'TYPE65280')):
            self.assertTrue(self.assert_same(name, rdtype).answer)

    def test_spf(self):
        reply = ask(self.server, 'ouzel.example', 'TXT')
        self.assertIn('v=spf1 ip4:192.0.2.0/24', rdata_texts(reply)[0])

    def test_cname_chain(self):
        wanted = self.assert_same('alias.ouzel.example', 'A')
        self.assertEqual(len(wanted.answer), 4)

    def test_cname_to_nowhere(self):
        wanted = self.assert_same('dangling.ouzel.example', 'A')
        self.assertEqual(wanted.rcode(), 3)

    def test_wildcard(self):
        self.assert_same('any.thing.wild.ouzel.example', 'A')
        self.assert_same('other.wild.ouzel.example', 'TXT')

    def test_no_such_name(self):
        self.assert_same('nobody.ouzel.example', 'A')
        reply = ask(self.server, 'nobody.ouzel.example', 'A')
        self.assert_status(reply, 'NXDOMAIN')
        self.assertEqual(reply.authority[0].rdtype, dns.rdatatype.SOA)

    def test_no_such_type(self):
        self.assert_same('www.ouzel.example', 'MX')
        reply = ask(self.server, 'www.ouzel.example', 'MX')
        self.assert_status(reply, 'NOERROR')
        self.assertEqual(reply.answer, [])
        self.assertEqual(reply.authority[0].rdtype, dns.rdatatype.SOA)

    def test_refusal_of_the_upstream(self):
        reply = ask(self.server, 'name.of.another.zone', 'A', timeout=8)
        self.assertIsNotNone(reply, 'no reply')
        self.assertIn(reply.rcode(), (2, 5))

    def test_spelling_of_the_client(self):
        for name in ('WwW.oUzEl.ExAmPlE', 'www.OUZEL.example', 'WWW.ouzel.EXAMPLE'):
            reply = ask(self.server, name, 'A')
            self.assertEqual(rdata_texts(reply), ['192.0.2.80'])
            self.assertEqual(str(reply.question[0].name), name + '.')
            self.assertEqual(str(reply.answer[0].name), name + '.')

    def test_case_of_the_data_is_preserved(self):
        reply = ask(self.server, 'mixedcase.ouzel.example', 'A')
        self.assertEqual(rdata_texts(reply), ['192.0.2.70'])

    def test_id_and_rd_come_back(self):
        for ident in (0, 1, 0x1234, 0xffff):
            for rd in (0, 0x0100):
                data = bytearray(harness.plain_query('www.ouzel.example', ident=ident))
                struct.pack_into('>H', data, 2, rd)
                reply = harness.ask_raw(self.server, bytes(data))
                self.assertIsNotNone(reply)
                self.assertEqual(struct.unpack('>H', reply[:2])[0], ident)
                self.assertEqual(reply[2] & 1, rd >> 8)

    def test_cd_comes_back(self):
        message = harness.query('www.ouzel.example')
        message.flags |= dns.flags.CD
        for _ in range(2):
            reply = dns.message.from_wire(harness.ask_raw(self.server, message.to_wire()))
            self.assertTrue(reply.flags & dns.flags.CD)
            self.assertEqual(rdata_texts(reply), ['192.0.2.80'])
        reply = ask(self.server, 'www.ouzel.example')
        self.assertFalse(reply.flags & dns.flags.CD)

    def test_opt_only_where_asked(self):
        for _ in range(2):
            self.assertEqual(ask(self.server, 'mail.ouzel.example').edns, -1)
            reply = ask(self.server, 'mail.ouzel.example', use_edns=0, payload=4096)
            self.assertEqual(reply.edns, 0)
            self.assertEqual(reply.payload, 1232)
            self.assertFalse(reply.ednsflags & dns.flags.DO)

    def test_do_comes_back(self):
        for _ in range(2):
            reply = ask(self.server, 'mail.ouzel.example', want_dnssec=True)
            self.assertTrue(reply.ednsflags & dns.flags.DO)
            self.assertEqual(rdata_texts(reply), ['192.0.2.25'])

    def test_sizes(self):
        """An answer of some 700 octets: cut at 512, whole where the client takes it."""
        for _ in range(2):
            reply = ask(self.server, 'txt700.ouzel.example', 'TXT')
            self.assertTrue(reply.flags & dns.flags.TC)
            self.assertEqual(reply.answer, [])
            for payload, whole in ((512, False), (100, False), (800, True), (1232, True),
                                   (4096, True)):
                with self.subTest(payload=payload):
                    reply = ask(self.server, 'txt700.ouzel.example', 'TXT', use_edns=0,
                                payload=payload)
                    self.assertEqual(not reply.flags & dns.flags.TC, whole)
                    self.assertEqual(len(reply.answer), 1 if whole else 0)

    def test_too_large_for_udp(self):
        """NSD itself truncates this one; whatever ouzel does with it, the client gets TC."""
        for _ in range(2):
            reply = ask(self.server, 'large.ouzel.example', 'TXT', use_edns=0, payload=4096)
            self.assertIsNotNone(reply, 'no reply')
            self.assertTrue(reply.flags & dns.flags.TC)
            self.assertEqual(reply.answer, [])

    def test_names_at_the_limits(self):
        label = 'x' * 63
        longest = '.'.join([label, label, label, 'y' * 47, 'ouzel.example'])
        self.assertEqual(len(longest) + 2, 255)
        for name in (label + '.wild.ouzel.example', longest):
            self.assert_same(name, 'A')
        self.assert_same('a.' * 100 + 'wild.ouzel.example', 'A')

    def test_counters_balance(self):
        self.assert_balance(self.server_process)


class Listeners(Case):
    PLANE = 5

    def test_several_ipv4(self):
        upstream = self.upstream()
        addresses = [harness.fresh_address() for _ in range(3)]
        ouzel = self.ouzel(upstream, listen=addresses, workers=2)
        for server in ouzel.listen:
            for _ in range(4):
                self.assertEqual(rdata_texts(ask(server, 'a.example')), ['192.0.2.1'])
        self.assertEqual(upstream.names(), ['a.example'])
        self.assert_balance(ouzel)

    def test_ipv6(self):
        if not harness.has_ipv6():
            self.skipTest('this machine has no IPv6')
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, listen=['::1', harness.fresh_address()], workers=2)
        for server in ouzel.listen:
            self.assertEqual(rdata_texts(ask(server, 'six.example')), ['192.0.2.1'])
        self.assertEqual(upstream.names(), ['six.example'])
        self.assert_balance(ouzel)

    def test_ipv6_upstream(self):
        if not harness.has_ipv6():
            self.skipTest('this machine has no IPv6')
        upstream = self.upstream(address='::1')
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'six.example')), ['192.0.2.1'])

    def test_wildcard_address(self):
        """Asked at any of the machine's addresses, the reply leaves from that one (RFC 2181 4.1):
        a connected client takes no other. The second ask is answered from memory."""
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, listen=['0.0.0.0'], workers=2)
        for address in ('127.0.0.1', harness.fresh_address(), harness.fresh_address()):
            for _ in range(2):
                reply = ask((address, ouzel.server[1]), f'at-{address}.example', timeout=1)
                self.assertIsNotNone(reply, f'no reply from {address}')
        self.assert_balance(ouzel)

    def test_settings_file_and_zones(self):
        """The longest matching zone wins, at a label's border."""
        root = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.1'])))
        corp = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.2'])))
        lab = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.3'])))
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [str(root)]}, {'zone': 'corp.example', 'to': [str(corp)]},
            {'zone': 'lab.corp.example', 'to': [str(lab)]}]})
        for name, address in (('www.example', 1), ('corp.example', 2), ('a.CORP.example', 2),
                              ('notcorp.example', 1), ('lab.corp.example', 3),
                              ('x.y.lab.corp.example', 3), ('lab.corp.example.org', 1),
                              ('xlab.corp.example', 2)):
            with self.subTest(name=name):
                self.assertEqual(rdata_texts(ask(ouzel.server, name)), [f'192.0.2.{address}'])

    def test_command_line_overrides_the_file(self):
        in_file, given = self.upstream(), self.upstream()
        ouzel = self.ouzel(given, settings={'forward': [{'zone': '.', 'to': [str(in_file)]}]})
        self.assertIsNotNone(ask(ouzel.server, 'a.example'))
        self.assertEqual((in_file.names(), given.names()), ([], ['a.example']))
