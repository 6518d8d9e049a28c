# SPDX-License-Identifier: MIT
"""What ouzel says of itself: NSID (RFC 5001), keepalive (RFC 7828), names of class CH, and the
small answer to a question for all types (RFC 8482)."""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass

import harness
from case import SharedCase
from harness import ask, option_of, rdata_texts

PLANE_ANSWERS = 4
NSID, KEEPALIVE = 3, 11


def empty_option(code):
    return dns.edns.GenericOption(code, b'')


class Own(SharedCase):
    PLANE = 5

    @classmethod
    def start_shared(cls):
        cls.upstream = harness.FakeUpstream()
        cls.addClassCleanup(cls.upstream.stop)
        cls.server_process = cls.keep_shared(harness.Ouzel(
            cls.shared_directory, [cls.upstream], workers=2,
            settings={'server': {'identity': 'ns1 (campus)', 'version': True,
                                 'tcp-idle-timeout': '3s'}}))

    def test_nsid(self):
        for where in ('upstream', 'memory'):
            with self.subTest(where=where):
                reply = ask(self.server, 'nsid.example', options=[empty_option(NSID)])
                self.assertEqual(option_of(reply, NSID), b'ns1 (campus)')
        self.assertIsNone(option_of(ask(self.server, 'nsid.example', use_edns=0), NSID))

    def test_keepalive(self):
        query = harness.query('kept.example', options=[empty_option(KEEPALIVE)])
        self.assertIsNone(option_of(ask(self.server, 'kept.example',
                                        options=[empty_option(KEEPALIVE)]), KEEPALIVE))
        reply = dns.query.tcp(query, self.server[0], 3, self.server[1])
        wire = option_of(reply, KEEPALIVE)
        self.assertEqual(wire, struct.pack('>H', 30))

    def chaos(self, name):
        query = dns.message.make_query(name, 'TXT', 'CH')
        return dns.query.udp(query, self.server[0], 3, self.server[1])

    def test_class_ch(self):
        for name in ('id.server', 'HOSTNAME.bind'):
            reply = self.chaos(name)
            self.assertEqual(rdata_texts(reply), ['"ns1 (campus)"'])
            self.assertEqual(reply.answer[0].rdclass, dns.rdataclass.CH)
            self.assertEqual(reply.answer[0].ttl, 0)
        for name in ('version.bind', 'version.server'):
            self.assertRegex(rdata_texts(self.chaos(name))[0], r'^"ouzel \d+\.\d+\.\d+"$')
        self.assertEqual(self.chaos('authors.bind').rcode(), dns.rcode.REFUSED)

    def test_any(self):
        for tcp in (False, True):
            query = harness.query('all.example', 'ANY')
            how = dns.query.tcp if tcp else dns.query.udp
            reply = how(query, self.server[0], 3, self.server[1])
            self.assertEqual(rdata_texts(reply), ['"RFC8482" ""'])
        self.assertNotIn('all.example', str(self.upstream.names()))


class Silent(SharedCase):
    """By default no client learns the name of the server."""

    PLANE = 5

    @classmethod
    def start_shared(cls):
        cls.upstream = harness.FakeUpstream()
        cls.addClassCleanup(cls.upstream.stop)
        cls.server_process = cls.keep_shared(
            harness.Ouzel(cls.shared_directory, [cls.upstream],
                          settings={'server': {'any': 'tcp'}}))

    def test_nothing_is_reported(self):
        for name in ('id.server', 'version.bind', 'hostname.bind'):
            query = dns.message.make_query(name, 'TXT', 'CH')
            reply = dns.query.udp(query, self.server[0], 3, self.server[1])
            self.assertEqual(reply.rcode(), dns.rcode.REFUSED)
        reply = ask(self.server, 'nsid.example', options=[empty_option(NSID)])
        self.assertIsNone(option_of(reply, NSID))

    def test_any_goes_over_tcp(self):
        reply = ask(self.server, 'all.example', 'ANY')
        self.assertTrue(reply.flags & dns.flags.TC)
        query = harness.query('all.example', 'ANY')
        dns.query.tcp(query, self.server[0], 3, self.server[1])
        self.assertIn('all.example', str(self.upstream.names()))
