# SPDX-License-Identifier: MIT
"""What a client may have: quotas, floods, limits to equal answers, and the cookies by which it
proves where it is (RFC 7873, RFC 9018)."""

import os
import socket
import struct
import subprocess
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode

import harness
from case import Case
from harness import ask, ask_raw, plain_query

COOKIE = 10
CLIENT = bytes.fromhex('2464c4abcf10c957')
SECRETS = ('e5e973e5a6b2a43f48e7dc849e37bfcf', '445536bcd2513298075a5d379663c962')

# One query a second and a few saved up: so little that no test can wait for more by accident.
TIGHT = {'client-qps': 1, 'burst': '100ms'}
SAVED_UP = 4


def names(count, zone='test.example'):
    return [plain_query(f'n{i}.{zone}', ident=i) for i in range(count)]


def with_cookie(data, cookie, size=1232):
    """These octets with an OPT record that holds a cookie of any length."""
    option = struct.pack('>HH', COOKIE, len(cookie)) + cookie
    return data[:10] + b'\0\1' + data[12:] + struct.pack(
        '>BHHIH', 0, 41, size, 0, len(option)) + option


def cookie_of(data):
    """The cookie of a reply; None where it has none."""
    message = dns.message.from_wire(data) if isinstance(data, bytes) else data
    return harness.option_of(message, COOKIE)


def volley(server, queries, source=None, silence=0.4):
    """Sends these at once from one socket and gathers what comes until nothing does any more."""
    replies = []
    with harness.client_socket(server, source) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for data in queries:
            sock.send(data)
        sock.settimeout(silence * harness.PATIENCE)
        try:
            while True:
                replies.append(sock.recv(65535))
        except socket.timeout:
            return replies


def use_up(server, source=None):
    """Takes all that a tight quota holds. What is asked at once thereafter is above it."""
    with harness.client_socket(server, source) as sock:
        for data in names(30, 'used.example'):
            sock.send(data)


def codes(replies):
    """How often each code came."""
    counts = {}
    for data in replies:
        code = dns.rcode.to_text(dns.message.from_wire(data).rcode())
        counts[code] = counts.get(code, 0) + 1
    return counts


class Quota(Case):
    def start(self, limits, **options):
        self.fake = self.upstream()
        self.process = self.ouzel(self.fake, settings={'limits': limits}, **options)
        return self.process.server

    def test_above_the_quota_memory_still_answers(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1000}))
        known = plain_query('known.example', ident=9999)
        self.assertIsNotNone(ask_raw(server, known, source='127.0.0.9'))
        replies = volley(server, names(40))
        self.assertEqual(len(replies), 40)
        counts = codes(replies)
        self.assertIn(counts['NOERROR'], range(SAVED_UP, SAVED_UP + 4))
        self.assertEqual(counts['REFUSED'], 40 - counts['NOERROR'])
        self.assertEqual(len(self.fake.asked), counts['NOERROR'] + 1)
        self.assertEqual(codes(volley(server, [known] * 20)), {'NOERROR': 20})
        self.assertEqual(self.process.total('ouzel_answers_total', source='limited'),
                         counts['REFUSED'])
        self.assertIsNotNone(ask(server, 'other.example', source='127.0.0.10').answer)
        self.assert_balance(self.process)

    def test_refusal_says_why(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1000}))
        use_up(server)
        reply = ask(server, 'why.example', use_edns=0, source='127.0.0.1')
        self.assert_status(reply, 'REFUSED')
        self.assertEqual(harness.ede_codes(reply), [18])
        self.assertTrue(reply.flags & dns.flags.RA)

    def test_flood_is_dropped_but_for_the_slip(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1, 'slip': 3}))
        replies = volley(server, names(64))
        counts = codes(replies)
        cut = [data for data in replies if data[2] & 2]
        full = len(replies) - len(cut)
        self.assertEqual(counts, {'NOERROR': len(replies)})
        self.assertIn(full, range(SAVED_UP, SAVED_UP + 4))
        self.assertEqual(len(cut), (64 - full) // 3)
        for data in cut:
            self.assertEqual(data[6:12], bytes(6), 'it holds records')
        self.assertEqual(self.process.total('ouzel_drops_total', reason='quota'),
                         64 - len(replies))
        # Over a connection there is a quota of its own.
        over_tcp = dns.query.tcp(dns.message.make_query('tcp.example', 'A'), server[0],
                                 5 * harness.PATIENCE, server[1])
        self.assertTrue(over_tcp.answer)
        self.assert_balance(self.process)

    def test_no_slip(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1, 'slip': 0}))
        replies = volley(server, names(64))
        self.assertIn(len(replies), range(SAVED_UP, SAVED_UP + 4))
        self.assert_balance(self.process)

    def test_connections_have_a_quota_too(self):
        """A client over TCP always gets REFUSED, whatever the rate."""
        server = self.start(dict(TIGHT, **{'flood-factor': 1, 'slip': 0}))
        with socket.create_connection(server, 5 * harness.PATIENCE) as sock:
            for data in names(20):
                sock.sendall(struct.pack('>H', len(data)) + data)
            with sock.makefile('rb') as stream:
                replies = [stream.read(struct.unpack('>H', stream.read(2))[0]) for _ in range(20)]
        counts = codes(replies)
        self.assertIn(counts['NOERROR'], range(SAVED_UP, SAVED_UP + 4))
        self.assertEqual(counts['REFUSED'], 20 - counts['NOERROR'])
        self.assert_balance(self.process)

    def test_networks(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1, 'slip': 0, 'ipv4-prefix': 24}))
        use_up(server, source='127.0.5.1')
        self.assertEqual(volley(server, names(1), source='127.0.5.200'), [])
        self.assertEqual(len(volley(server, names(1), source='127.0.6.1')), 1)

    def test_workers_keep_the_machines_rate(self):
        """A client that uses a new port for each query is spread over the workers."""
        server = self.start({'client-qps': 50, 'burst': '1s', 'flood-factor': 1000}, workers=4)
        began = time.monotonic()
        socks = [harness.client_socket(server) for _ in range(400)]
        for sock, data in zip(socks, names(400)):
            sock.send(data)
        replies = []
        for sock in socks:
            with sock:
                sock.settimeout(2 * harness.PATIENCE)
                replies.append(sock.recv(65535))
        took = time.monotonic() - began
        counts = codes(replies)
        # The burst of 50, and what came in meanwhile; a worker that got more than others is full.
        self.assertGreater(counts['NOERROR'], 20)
        self.assertLess(counts['NOERROR'], 1.5 * (50 + 50 * took))
        self.assert_balance(self.process)

    def test_without_limits(self):
        server = self.start({'client-qps': 0})
        self.assertEqual(codes(volley(server, names(300))), {'NOERROR': 300})


class SameAnswers(Case):
    def start(self, limits, script=None):
        self.fake = self.upstream(script)
        self.process = self.ouzel(self.fake, settings={'limits': dict(limits, burst='100ms')})
        return self.process.server

    def test_of_one_question(self):
        server = self.start({'same-answers': 1, 'slip': 0})
        one, other = names(2)
        self.assertIsNotNone(ask_raw(server, one, source='127.0.0.9'))
        replies = volley(server, [one] * 40)
        self.assertIn(len(replies), range(SAVED_UP, SAVED_UP + 4))
        self.assertEqual(len(volley(server, [other])), 1)
        self.assertEqual(len(volley(server, [one], source='127.0.0.10')), 1)
        self.assertEqual(self.process.total('ouzel_drops_total', reason='same-answers'),
                         40 - len(replies))
        self.assert_balance(self.process)

    def test_of_one_zone_that_denies(self):
        """Names that are made up are all the same answer; those of another zone are another."""
        def deny(asked):
            zone = b'\x04void' if 'void' in asked.name else b'\x05other'
            soa = zone + b'\x07example\0' + struct.pack('>HHIH', 6, 1, 300, 22) + b'\0\0' + \
                struct.pack('>IIIII', 1, 2, 3, 4, 300)
            reply = asked.reply(rcode=3)
            asked.send(reply[:8] + b'\0\1' + reply[10:] + soa)
        server = self.start({'same-answers': 1, 'slip': 2}, deny)
        replies = volley(server, names(42, 'void.example'))
        cut = [data for data in replies if data[2] & 2]
        whole = len(replies) - len(cut)
        self.assertIn(whole, range(SAVED_UP, SAVED_UP + 4))
        self.assertEqual(len(cut), (42 - whole) // 2)
        self.assertEqual(codes(volley(server, names(1, 'other.example'))), {'NXDOMAIN': 1})
        self.assert_balance(self.process)

    def test_of_refusals(self):
        self.fake = self.upstream()
        self.process = self.ouzel(self.fake, settings={
            'limits': {'same-answers': 1, 'slip': 0, 'burst': '100ms'},
            'access': {'allow': ['127.1.0.0/16']}})
        self.assertIn(len(volley(self.process.server, names(40))),
                      range(SAVED_UP, SAVED_UP + 4))
        self.assert_balance(self.process)

    def test_proven_client_is_exempt(self):
        server = self.start({'same-answers': 1, 'slip': 0})
        data = names(1)[0]
        cookie = cookie_of(ask_raw(server, with_cookie(data, CLIENT)))
        volley(server, [data] * 40)
        self.assertEqual(len(volley(server, [with_cookie(data, cookie)] * 40)), 40)
        for _ in range(10):
            dns.query.tcp(dns.message.from_wire(data), server[0], 5 * harness.PATIENCE, server[1])
        self.assert_balance(self.process)


class Cookies(Case):
    def start(self, limits=None, **server):
        self.fake = self.upstream()
        settings = {'limits': limits} if limits else {}
        if server:
            settings['server'] = server
        self.process = self.ouzel(self.fake, settings=settings)
        return self.process.server

    def test_a_client_is_given_one(self):
        server = self.start()
        query = plain_query('a.example')
        first = cookie_of(ask_raw(server, with_cookie(query, CLIENT)))  # from upstream
        self.assertEqual(len(first), 24)
        self.assertEqual(first[:12], CLIENT + b'\1\0\0\0')
        self.assertLess(abs(struct.unpack('>I', first[12:16])[0] - time.time()), 300)
        again = cookie_of(ask_raw(server, with_cookie(query, first)))  # from memory
        self.assertEqual(again, first, 'a young cookie is given back as it is')
        self.assertEqual(self.process.total('ouzel_cookies_total', verdict='valid'), 1)
        self.assertEqual(self.process.total('ouzel_cookies_total', verdict='client-only'), 1)
        self.assertIsNone(cookie_of(ask_raw(server, query)))
        self.assertIsNone(cookie_of(ask_raw(server, harness.query('a.example', use_edns=0)
                                            .to_wire())))

    def test_a_wrong_one_is_answered_with_a_right_one(self):
        server = self.start()
        query = plain_query('a.example')
        right = cookie_of(ask_raw(server, with_cookie(query, CLIENT)))
        for wrong in (right[:-1] + bytes([right[-1] ^ 1]), b'anything' + right[8:],
                      right + b'\0', right[:16], CLIENT + bytes(32)):
            with self.subTest(cookie=wrong.hex()):
                reply = dns.message.from_wire(ask_raw(server, with_cookie(query, wrong)))
                self.assert_status(reply, 'NOERROR')
                self.assertTrue(reply.answer)
                given = cookie_of(reply)
                self.assertEqual((len(given), given[:8]), (24, wrong[:8]))
                self.assertNotEqual(given, wrong)
        elsewhere = cookie_of(ask_raw(server, with_cookie(query, right), source='127.0.0.77'))
        self.assertNotEqual(elsewhere[16:], right[16:], 'it is good for one address')
        self.assertEqual(self.process.total('ouzel_cookies_total', verdict='invalid'), 6)

    def test_lengths_that_are_none(self):
        server = self.start()
        for length in list(range(8)) + list(range(9, 16)) + [41, 64]:
            with self.subTest(length=length):
                reply = ask_raw(server, with_cookie(plain_query('a.example'), bytes(length)))
                reply = dns.message.from_wire(reply)
                self.assert_status(reply, 'FORMERR')
                self.assertIsNone(cookie_of(reply))
        self.assertEqual(self.fake.asked, [])
        self.assert_balance(self.process)

    def test_a_query_for_a_cookie_alone(self):
        server = self.start()
        bare = b'\x12\x34\x01\0' + bytes(8)
        reply = ask_raw(server, with_cookie(bare, CLIENT))
        self.assertEqual((reply[3] & 15, reply[4:10]), (0, bytes(6)))
        cookie = cookie_of(reply)
        self.assertEqual(len(cookie), 24)
        self.assertEqual(cookie_of(ask_raw(server, with_cookie(bare, cookie))), cookie)
        reply = dns.message.from_wire(ask_raw(server, with_cookie(bare, cookie[:-1] + b'?')))
        self.assert_status(reply, 'BADCOOKIE')
        self.assert_status(dns.message.from_wire(ask_raw(server, bare)), 'FORMERR')
        self.assert_balance(self.process)

    def test_turned_off(self):
        server = self.start(cookies=False)
        for cookie in (CLIENT, b'short', CLIENT + bytes(16)):
            reply = dns.message.from_wire(ask_raw(server, with_cookie(plain_query('a.example'),
                                                                      cookie)))
            self.assert_status(reply, 'NOERROR')
            self.assertIsNone(cookie_of(reply))

    def test_limited_client_may_prove_its_address(self):
        """Misses above the quota: BADCOOKIE with a cookie that is worth an answer."""
        server = self.start(dict(TIGHT, **{'flood-factor': 1000}))
        use_up(server)
        query = plain_query('wanted.example')
        reply = dns.message.from_wire(ask_raw(server, with_cookie(query, CLIENT)))
        self.assert_status(reply, 'BADCOOKIE')
        cookie = cookie_of(reply)
        reply = dns.message.from_wire(ask_raw(server, with_cookie(query, cookie)))
        self.assert_status(reply, 'NOERROR')
        self.assertTrue(reply.answer)
        self.assertEqual(self.process.total('ouzel_answers_total', source='cookie'), 1)
        self.assert_balance(self.process)

    def test_a_flood_in_its_name_does_not_hurt_a_proven_client(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1, 'slip': 2}))
        cookie = cookie_of(ask_raw(server, with_cookie(plain_query('a.example'), CLIENT)))
        # The forger has no cookie, or has made one up.
        forged = [with_cookie(data, CLIENT + bytes(16)) for data in names(50)]
        replies = volley(server, names(50) + forged)
        self.assertIn('BADCOOKIE', codes(replies))
        self.assertLess(len(replies), 60)
        for i in range(SAVED_UP - 1):
            reply = ask_raw(server, with_cookie(plain_query(f'own{i}.example'), cookie))
            self.assertEqual(codes([reply]), {'NOERROR': 1})
        # The client has a quota too, and gets REFUSED when it is used up.
        replies = volley(server, [with_cookie(data, cookie) for data in names(30, 'own.example')])
        self.assertEqual(len(replies), 30)
        self.assertGreater(codes(replies)['REFUSED'], 20)
        self.assert_balance(self.process)

    def test_kdig(self):
        server = self.start(dict(TIGHT, **{'flood-factor': 1000}))
        kdig = harness.find_tool('kdig')
        labels = iter(range(100))

        def asked():
            use_up(server)
            return subprocess.run(
                [kdig, f'@{server[0]}', '-p', str(server[1]), '+cookie', '+timeout=5',
                 f'k{next(labels)}.example'],
                capture_output=True, text=True, timeout=30, check=False).stdout

        def refused_and_answered():
            text = asked()
            return 'BADCOOKIE' in text and '192.0.2.1' in text and text
        self.assertTrue(harness.eventually(refused_and_answered, 5), asked())


class Secrets(Case):
    def secrets(self, name, *lines):
        path = os.path.join(self.directory, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write('\n'.join(lines) + '\n')
        return path

    def test_a_fleet_shares_a_file(self):
        fake = self.upstream()
        query = plain_query('a.example')
        cookies = []
        old, new = (self.secrets('old', SECRETS[0]), self.secrets('new', *reversed(SECRETS)))
        for path in (old, old, new):
            ouzel = self.ouzel(fake, settings={'server': {'cookie-secrets': path}})
            ask_raw(ouzel.server, query)  # from memory a good cookie comes back as it is
            sent = cookies[-1] if cookies else CLIENT
            cookies.append(cookie_of(ask_raw(ouzel.server, with_cookie(query, sent))))
            self.assertEqual(ouzel.total('ouzel_cookies_total', verdict='valid'),
                             1 if len(cookies) > 1 else 0)
        self.assertEqual(cookies[0], cookies[1])
        self.assertNotEqual(cookies[1], cookies[2], 'with a new secret there is a new cookie')

    def test_drawn_ones_differ(self):
        fake = self.upstream()
        query, cookie = plain_query('a.example'), CLIENT
        for _ in range(2):
            ouzel = self.ouzel(fake)
            cookie = cookie_of(ask_raw(ouzel.server, with_cookie(query, cookie)))
            self.assertEqual(ouzel.total('ouzel_cookies_total', verdict='valid'), 0)

    def test_bad_files_are_reported(self):
        for lines, where in ((SECRETS[:1] + ('abc',), ':2: '), (('nonsense',), ':1: '),
                             (SECRETS + SECRETS[:1], ':3: ')):
            path = self.secrets('bad', *lines)
            config = os.path.join(self.directory, 'bad.yaml')
            with open(config, 'w', encoding='ascii') as file:
                file.write(f'server:\n  cookie-secrets: {path}\n')
            for command in ('check', 'serve'):
                result = subprocess.run([harness.BINARY, command, '--config', config],
                                        capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(result.returncode, 2)
                self.assertIn(f'{config}:2: server.cookie-secrets: {path}{where}', result.stderr)
                self.assertNotIn(SECRETS[0], result.stderr)
