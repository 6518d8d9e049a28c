# SPDX-License-Identifier: MIT
"""Malformed and unusual packets: each gets the verdict it should, and nothing is forwarded."""

import struct

import dns.message

import harness
from case import Case
from harness import ask, ask_raw, rdata_texts

PLANE_ANSWERS = 20
DROPPED = None
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

NAME = b'\x03bad\x07example\0'
QUESTION = NAME + b'\0\1\0\1'
OPT = b'\0\0\x29\x04\xd0\0\0\0\0\0\0'
RECORD = b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1'


def head(flags=0x0100, questions=1, answers=0, authorities=0, additionals=0):
    return struct.pack('>HHHHHH', 0x4711, flags, questions, answers, authorities, additionals)


def opt(version=0, options=b'', size=1232, owner=b'\0'):
    return owner + struct.pack('>HHBBHH', 41, size, 0, version, 0, len(options)) + options


# what it is, octets, RCODE of the reply or DROPPED
CASES = [
    # Too short to say anything about.
    ('nothing', b'', DROPPED),
    ('one octet', b'\x47', DROPPED),
    ('an ID alone', b'\x47\x11', DROPPED),
    ('a header cut by one octet', head()[:11], DROPPED),
    # Replies are never answered.
    ('QR set', head(0x8100) + QUESTION, DROPPED),
    ('QR set, nothing else', head(0x8000, 0), DROPPED),
    ('a reply with an answer', head(0x8180, 1, 1) + QUESTION + RECORD, DROPPED),
    ('QR set, two questions', head(0x8100, 2) + QUESTION * 2, DROPPED),
    # Cut.
    ('a header alone', head(), FORMERR),
    ('a header alone that counts no question', head(0x0100, 0), FORMERR),
    ('a question cut in a label', head() + QUESTION[:2], FORMERR),
    ('a question cut after the name', head() + NAME, FORMERR),
    ('a question cut in the type', head() + NAME + b'\0', FORMERR),
    ('a question without a class', head() + NAME + b'\0\1', FORMERR),
    ('a question cut in the class', head() + NAME + b'\0\1\0', FORMERR),
    ('a label longer than what follows', head() + b'\x3fabc', FORMERR),
    # Names.
    ('a label type 01', head() + b'\x41' + b'a' * 65 + b'\0\0\1\0\1', FORMERR),
    ('a label type 10', head() + b'\x81' + b'a' * 65 + b'\0\0\1\0\1', FORMERR),
    ('a label of 64 octets', head() + b'\x40' + b'a' * 64 + b'\0\0\1\0\1', FORMERR),
    ('a name of 256 octets', head() + (b'\x3f' + b'a' * 63) * 3 + b'\x3e' + b'a' * 62 +
     b'\0\0\1\0\1', FORMERR),
    ('a name of many octets', head() + b'\x01a' * 200 + b'\0\0\1\0\1', FORMERR),
    ('a pointer to itself', head() + b'\xc0\x0c\0\1\0\1', FORMERR),
    ('a pointer into the header', head() + b'\xc0\0\0\1\0\1', FORMERR),
    ('a pointer forward', head() + b'\xc0\x0e\0\0\1\0\1', FORMERR),
    ('a pointer behind the end', head() + b'\xff\xff\0\1\0\1', FORMERR),
    ('half a pointer', head() + b'\xc0', FORMERR),
    ('a pointer back to a label', head() + b'\x01a\xc0\x0c\0\1\0\1', FORMERR),
    ('two pointers that loop', head() + b'\xc0\x0e\xc0\x0c\0\1\0\1', FORMERR),
    # Counts that lie.
    ('two questions', head(0x0100, 2) + QUESTION * 2, FORMERR),
    ('two different questions', head(0x0100, 2) + QUESTION + b'\x01x' + QUESTION, FORMERR),
    ('a count of two, one question', head(0x0100, 2) + QUESTION, FORMERR),
    ('a count of 65535 questions', head(0x0100, 65535) + QUESTION, FORMERR),
    ('a count of none, one question', head(0x0100, 0) + QUESTION, FORMERR),
    ('an answer in a query', head(0x0100, 1, 1) + QUESTION + RECORD, FORMERR),
    ('a count of one answer, none there', head(0x0100, 1, 1) + QUESTION, FORMERR),
    ('an authority record in a query', head(0x0100, 1, 0, 1) + QUESTION + RECORD, FORMERR),
    ('a count of one more record, none there', head(0x0100, 1, 0, 0, 1) + QUESTION, FORMERR),
    ('a count of 65535 more records', head(0x0100, 1, 0, 0, 65535) + QUESTION + OPT, FORMERR),
    ('all counts 65535', head(0x0100, 65535, 65535, 65535, 65535) + QUESTION, FORMERR),
    ('a record whose data is cut', head(0x0100, 1, 0, 0, 1) + QUESTION + RECORD[:-1], FORMERR),
    ('a record with a looping owner', head(0x0100, 1, 0, 0, 1) + QUESTION + b'\xc0\x1d' +
     RECORD[2:], FORMERR),
    # EDNS.
    ('two OPTs', head(0x0100, 1, 0, 0, 2) + QUESTION + OPT * 2, FORMERR),
    ('an OPT not at the root', head(0x0100, 1, 0, 0, 1) + QUESTION + opt(owner=b'\x01a\0'),
     FORMERR),
    ('an OPT that is cut', head(0x0100, 1, 0, 0, 1) + QUESTION + OPT[:-1], FORMERR),
    ('an OPT whose data is cut', head(0x0100, 1, 0, 0, 1) + QUESTION + OPT[:-1] + b'\4\0\x0a\0',
     FORMERR),
    ('an OPT option longer than the OPT', head(0x0100, 1, 0, 0, 1) + QUESTION +
     opt(options=b'\0\x0a\0\xff\1'), FORMERR),
    ('an OPT option without a length', head(0x0100, 1, 0, 0, 1) + QUESTION +
     opt(options=b'\0\x0a\0'), FORMERR),
    ('EDNS version 1', head(0x0100, 1, 0, 0, 1) + QUESTION + opt(version=1), BADVERS),
    ('EDNS version 255', head(0x0100, 1, 0, 0, 1) + QUESTION + opt(version=255), BADVERS),
    # Opcodes.
    ('opcode IQUERY', head(1 << 11, 1) + QUESTION, NOTIMP),
    ('opcode STATUS', head(2 << 11, 1) + QUESTION, NOTIMP),
    ('opcode 3', head(3 << 11, 1) + QUESTION, NOTIMP),
    ('opcode NOTIFY', head(4 << 11, 1) + QUESTION, NOTIMP),
    ('opcode UPDATE', head(5 << 11, 1) + QUESTION, NOTIMP),
    ('opcode DSO', head(6 << 11, 0), NOTIMP),
    ('opcode 15', head(15 << 11, 1) + QUESTION, NOTIMP),
    # Questions that a forwarder does not forward.
    ('type AXFR', head() + NAME + b'\0\xfc\0\1', REFUSED),
    ('type IXFR', head() + NAME + b'\0\xfb\0\1', REFUSED),
    ('class CH', head() + b'\x07version\x04bind\0\0\x10\0\3', REFUSED),
    ('class ANY', head() + NAME + b'\0\1\0\xff', REFUSED),
    ('class NONE', head() + NAME + b'\0\1\0\xfe', REFUSED),
    ('class 0', head() + NAME + b'\0\1\0\0', REFUSED),
    ('type OPT as the question', head() + NAME + b'\0\x29\0\1', FORMERR),
    ('type TSIG as the question', head() + NAME + b'\0\xfa\0\1', FORMERR),
    ('type TKEY as the question', head() + NAME + b'\0\xf9\0\1', FORMERR),
    ('type 0', head() + NAME + b'\0\0\0\1', FORMERR),
    ('type MAILA', head() + NAME + b'\0\xfe\0\1', NOTIMP),
    ('type MAILB', head() + NAME + b'\0\xfd\0\1', NOTIMP),
    # Flags.
    ('TC set', head(0x0300) + QUESTION, FORMERR),
]

# Unusual, but fine: these are answered.
GOOD = [
    ('a name of 255 octets', head() + (b'\x3f' + b'a' * 63) * 3 + b'\x3d' + b'a' * 61 +
     b'\0\0\1\0\1'),
    ('the root', head() + b'\0\0\2\0\1'),
    ('octets that are no letters', head() + b'\x04\0\xff. \x03xyz\0\0\1\0\1'),
    ('AD set', head(0x0120) + QUESTION),
    ('the reserved bit set', head(0x0140) + QUESTION),
    ('AA and RA set', head(0x0580) + QUESTION),
    ('RCODE set', head(0x010f) + QUESTION),
    ('an unknown type', head() + NAME + b'\xff\x01\0\1'),
    ('an unknown EDNS option', head(0x0100, 1, 0, 0, 1) + QUESTION +
     opt(options=b'\xff\xf0\0\3abc')),
    ('an EDNS size of 0', head(0x0100, 1, 0, 0, 1) + QUESTION + opt(size=0)),
    ('octets after the end', head() + QUESTION + b'more'),
]


class Malformed(Case):
    PLANE = {'test_table': 1, 'test_unusual_but_fine': 5, 'test_every_cut_of_a_query': 1}

    def setUp(self):
        super().setUp()
        self.fake = self.upstream()
        self.server_process = self.ouzel(self.fake)
        self.server = self.server_process.server

    def check_reply(self, data, reply, rcode):
        self.assertGreaterEqual(len(reply), 12)
        self.assertLessEqual(len(reply), 512)
        self.assertEqual(reply[:2], data[:2], 'the ID')
        self.assertTrue(reply[2] & 0x80, 'QR')
        self.assertEqual(reply[2] & 0x78, data[2] & 0x78, 'the opcode')
        self.assertEqual(reply[2] & 0x01, data[2] & 0x01, 'RD')
        self.assertEqual(reply[2] & 0x02, 0, 'TC')
        if rcode == BADVERS:
            message = dns.message.from_wire(reply)
            self.assertEqual((message.rcode(), message.edns), (BADVERS, 0))
        else:
            self.assertEqual(reply[3] & 15, rcode)
        questions, answers, authorities = struct.unpack('>HHH', reply[4:10])
        self.assertLessEqual(questions, 1)
        self.assertEqual((answers, authorities), (0, 0))
        if reply[2] & 0x78 == 0:  # dnspython knows not all opcodes
            dns.message.from_wire(reply)  # raises where it is not well-formed

    def test_table(self):
        """All are sent one by one from their own sockets; those that are to be dropped are shown
        to be so by the counters, without waiting for each."""
        replied = dropped = 0
        for title, data, rcode in CASES:
            with self.subTest(title):
                if rcode is DROPPED:
                    dropped += 1
                    self.assertIsNone(ask_raw(self.server, data, timeout=0.1), 'a reply')
                    continue
                replied += 1
                reply = ask_raw(self.server, data)
                self.assertIsNotNone(reply, 'no reply')
                self.check_reply(data, reply, rcode)
        self.assertEqual([asked.data for asked in self.fake.asked], [],
                         'something was forwarded')
        rows = self.server_process.metrics()
        self.assertEqual(harness.metric_sum(rows, 'ouzel_queries_total'), replied + dropped)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answers_total'), replied)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_drops_total'), dropped)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_upstream_queries_total'), 0)

    def test_unusual_but_fine(self):
        for title, data in GOOD:
            with self.subTest(title):
                reply = ask_raw(self.server, data)
                self.assertIsNotNone(reply, 'no reply')
                self.assertEqual(reply[3] & 15, NOERROR)
        self.assertGreater(len(self.fake.asked), 0)
        self.assert_balance(self.server_process)

    def test_large_datagram(self):
        """Longer than any query needs to be: no harm, and other clients are not affected."""
        for size in (4000, 9000, 60000):
            ask_raw(self.server, head() + QUESTION + b'x' * size, timeout=0.2)
            ask_raw(self.server, head(0x0100, 1, 0, 0, 1) + QUESTION + OPT + b'x' * size,
                    timeout=0.2)
        self.assertEqual(rdata_texts(ask(self.server, 'after.example')), ['192.0.2.1'])
        self.assert_balance(self.server_process)

    def test_every_cut_of_a_query(self):
        """A query with EDNS, cut at every octet, and with every octet changed: ouzel goes on."""
        message = harness.query('cut.example', use_edns=0, payload=1232).to_wire()
        pieces = [message[:length] for length in range(len(message))]
        for at in range(12, len(message)):
            for value in (0, 0x3f, 0x40, 0xc0, 0xff):
                pieces.append(message[:at] + bytes([value]) + message[at + 1:])
        with harness.client_socket(self.server) as sock:
            for piece in pieces:
                sock.send(piece)
        self.assertEqual(rdata_texts(ask(self.server, 'after.example', timeout=5)), ['192.0.2.1'])
        self.assert_balance(self.server_process)
