# SPDX-License-Identifier: MIT
"""Answers in the driver: a client behind a cable, in a network namespace of its own, and ouzel in
another. tests/xdp compares both planes frame by frame; here they work together."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

import harness
from cable import Cable, can, ip
from case import Case

SERVER, CLIENT, REFUSED = '10.77.0.1', '10.77.0.2', '10.77.0.66'
SERVER6, CLIENT6 = 'fd77::1', 'fd77::2'
PASS = os.path.join(os.path.dirname(os.path.realpath(harness.BINARY)), 'tests', 'xdp', 'pass.bpf.o')
HITS = 3  # of an answer that go to the sockets


@unittest.skipUnless(can(harness.BINARY),
                     'the XDP program is not built, or BPF and namespaces need root')
class Xdp(Case):
    def setUp(self):
        super().setUp()
        self.cable = Cable()
        self.addCleanup(self.cable.end)
        ip('addr', 'add', f'{SERVER}/24', 'dev', 'cable')
        ip('addr', 'add', f'{SERVER6}/64', 'dev', 'cable', 'nodad')
        with self.cable.far():
            for address in (f'{CLIENT}/24', f'{REFUSED}/24', f'{CLIENT6}/64'):
                ip('addr', 'add', address, 'dev', 'far', *(('nodad',) * (':' in address)))

    def settings(self, **more):
        settings = {'server': {'xdp': ['cable'], 'listen': [f'{SERVER}:53', f'[{SERVER6}]:53',
                                                            '127.0.0.1:53']},
                    'cache': {'size': '8M'},
                    'access': {'allow': ['10.77.0.0/24', 'fd77::/64', '127.0.0.0/8'],
                               'refuse': [f'{REFUSED}/32']}}
        for section, values in more.items():
            settings.setdefault(section, {}).update(values)
        return settings

    def start(self, **more):
        self.asked = self.upstream()
        ouzel = self.ouzel(self.asked, settings=self.settings(**more), listen=[(SERVER, 53)])
        said = ouzel.output()
        if 'needs CAP_BPF' in said or 'does not take it' in said:
            self.skipTest('BPF is not allowed here')
        return ouzel

    def far_socket(self, server=SERVER, source=None):
        """A client's socket behind the cable."""
        with self.cable.far():
            return harness.client_socket((server, 53), source)

    def ask_far(self, data, server=SERVER, source=None, sends=3):
        with self.far_socket(server, source) as sock:
            sock.settimeout(harness.PATIENCE)
            for _ in range(sends):
                sock.send(data)
                try:
                    return sock.recv(65535)
                except socket.timeout:
                    pass
        return None

    def make_popular(self, data, server=SERVER):
        for _ in range(HITS + 1):
            self.assertIsNotNone(self.ask_far(data, server))

    def in_driver(self, ouzel):
        return ouzel.total('ouzel_queries_total', transport='xdp')

    def cached(self, ouzel):
        return ouzel.total('ouzel_answers_total', source='cache')

    def passed(self, ouzel, reason):
        return ouzel.total('ouzel_xdp_passed_total', reason=reason)

    def assert_in_driver(self, ouzel, data, server=SERVER, times=3):
        """It answers in the driver, and as the sockets do."""
        before = self.in_driver(ouzel)
        for _ in range(times):
            sooner = harness.ask_raw(('127.0.0.1', 53), data)
            answer = self.ask_far(data, server)
            if answer != sooner:  # a second has begun meanwhile, and TTLs are lower by one
                self.assertEqual(answer, harness.ask_raw(('127.0.0.1', 53), data))
        self.assertGreaterEqual(self.in_driver(ouzel) - before, times)

    def test_answers(self):
        """Over both families, with and without EDNS, names that exist and others; what is left to
        the sockets is answered, too."""
        ouzel = self.start()
        self.assertRegex(ouzel.output(), r'xdp interface=cable state="(in|behind) the driver"')
        plain = harness.plain_query('WWW.Example', ident=7)
        edns = harness.query('www.example', use_edns=0, payload=1232).to_wire()
        dnssec = harness.query('www.example', want_dnssec=True).to_wire()
        for data in (plain, edns, dnssec):
            self.make_popular(data)
            self.assert_in_driver(ouzel, data)
            self.assert_in_driver(ouzel, data, SERVER6)
        before = self.in_driver(ouzel)
        cookie = harness.query('www.example', use_edns=0, options=[
            harness.dns.edns.GenericOption(10, b'12345678')]).to_wire()
        self.assertIsNotNone(self.ask_far(cookie))
        self.assertIsNotNone(self.ask_far(harness.plain_query('localhost')))
        refused = self.ask_far(plain, source=REFUSED)
        self.assertEqual(refused[3] & 15, 5)
        self.assertEqual(self.in_driver(ouzel), before)
        self.assertGreater(self.passed(ouzel, 'unusual'), 0)
        self.assertGreater(self.passed(ouzel, 'client'), 0)
        self.assert_balance(ouzel)

    def test_reload(self):
        """Limits and logs make it stand aside; a name that is blocked is blocked at once;
        interfaces come and go."""
        ouzel = self.start()
        data = harness.plain_query('www.example')
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        for section, values in (('limits', {'client-qps': 1000}), ('queries', {'log': 'true'})):
            said = self.reload(ouzel, self.settings(**{section: values}))
            self.assertIn('the XDP program answers nothing', said)
            before = self.in_driver(ouzel)
            self.assertIsNotNone(self.ask_far(data))
            self.assertEqual(self.in_driver(ouzel), before)
            self.assertGreater(self.passed(ouzel, 'off'), 0)
        self.reload(ouzel, self.settings())
        self.make_popular(data)  # goes up once, as the rules could be others
        self.assert_in_driver(ouzel, data)
        lists = os.path.join(self.directory, 'list')
        with open(lists, 'w', encoding='ascii') as file:
            file.write('www.example\n')
        self.reload(ouzel, self.settings(local={'block': [lists]}))
        for _ in range(HITS + 2):
            self.assertEqual(self.ask_far(data)[3] & 15, 3)
        self.reload(ouzel, self.settings(server={'xdp': ['lo']}))
        self.assertNotIn('xdp', self.shown())
        said = self.reload(ouzel, self.settings(server={'xdp': ['cable', 'nope']}))
        self.assertIn('there is no such interface', said)
        self.assertEqual(self.attached(ouzel), {'driver': 0, 'generic': 1, 'failed': 1})
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)

    def attached(self, ouzel):
        return {state: ouzel.total('ouzel_xdp_interfaces', state=state)
                for state in ('driver', 'generic', 'failed')}

    def test_order_to_reload_says_why(self):
        """Whoever orders a reload is told where the program is not attached, and why it stands
        aside."""
        control = {'socket': self.control_path()}
        ouzel = self.start(control=control)
        self.assertEqual(self.attached(ouzel), {'driver': 0, 'generic': 1, 'failed': 0})
        self.write(ouzel, self.settings(
            control=control, server={'xdp': ['nope']}, limits={'client-qps': 1000}))
        done = subprocess.run([harness.BINARY, 'ctl', '--control', self.control_path(), 'reload'],
                              check=True, capture_output=True, text=True)
        self.assertIn('server.xdp: the XDP program answers nothing: limits.', done.stdout)
        self.assertIn('server.xdp: cannot answer in the driver of nope: ', done.stdout)
        self.assertEqual(self.attached(ouzel), {'driver': 0, 'generic': 0, 'failed': 1})

    def test_check(self):
        """What the program would not do here and now is said, and is no error."""
        path = os.path.join(self.directory, 'settings.yaml')
        with open(path, 'w', encoding='ascii') as file:
            file.write('server:\n  xdp: [cable, nope, lo/generic]\nqueries:\n  log: true\n'
                       'forward:\n  - zone: .\n    to: [192.0.2.1]\n')
        done = subprocess.run([harness.BINARY, 'check', '--config', path], capture_output=True,
                              text=True, check=True, timeout=30)
        self.assertEqual(done.stderr.splitlines(), [
            'ouzel: server.xdp: cannot answer in the driver of nope: there is no such interface',
            'ouzel: server.xdp: cannot answer in the driver of lo/generic: it is no Ethernet '
            'interface',
            'ouzel: server.xdp: the XDP program answers nothing: answers are logged or '
            'sent over dnstap'])

    def cookied(self, cookie):
        return harness.query('www.example', use_edns=0, payload=1232, options=[
            harness.dns.edns.GenericOption(10, cookie)]).to_wire()

    def cookie_far(self, cookie, server=SERVER):
        """The cookie of the reply; None where it has none."""
        answer = harness.dns.message.from_wire(self.ask_far(self.cookied(cookie), server))
        self.assertEqual(len(answer.answer), 1)
        return harness.option_of(answer, 10)

    def assert_cookie(self, ouzel, cookie, in_driver, server=SERVER):
        """A query with this cookie is answered, in the driver or not. Returns the reply's."""
        before = self.in_driver(ouzel)
        given = self.cookie_far(cookie, server)
        self.assertEqual(self.in_driver(ouzel) - before, in_driver)
        return given

    def test_cookies(self):
        """A valid cookie is answered in the driver and returned as it came, a client's part alone
        and another client's cookie by a worker; the counters stay true."""
        ouzel = self.start()
        self.make_popular(harness.plain_query('www.example'))
        for server in SERVER, SERVER6:
            cookie = self.assert_cookie(ouzel, b'12345678', 0, server)
            self.assertEqual(len(cookie), 24)
            for _ in range(3):
                self.assertEqual(self.assert_cookie(ouzel, cookie, 1, server), cookie)
        for wrong in cookie, cookie[:-1] + bytes([cookie[-1] ^ 1]):  # that of the IPv6 client
            self.assertNotEqual(self.assert_cookie(ouzel, wrong, 0), wrong)
        for verdict, count in ('valid', 6), ('client-only', 2), ('invalid', 2):
            self.assertEqual(ouzel.total('ouzel_cookies_total', verdict=verdict), count)
        self.assert_balance(ouzel)

    def test_cookies_of_kdig(self):
        kdig = harness.find_tool('kdig')
        ouzel = self.start()
        self.make_popular(harness.plain_query('www.example'))

        def said(option):
            with self.cable.far():
                return subprocess.run([kdig, f'@{SERVER}', option, '+timeout=5', 'www.example'],
                                      check=True, capture_output=True, text=True,
                                      timeout=20 * harness.PATIENCE).stdout
        cookie = re.search(r'COOKIE: ([0-9a-fA-F]{48})', said('+cookie'))[1]
        before = self.in_driver(ouzel)
        for _ in range(2):
            self.assertIn(f'COOKIE: {cookie}', said(f'+cookie={cookie}'))
        self.assertEqual(self.in_driver(ouzel) - before, 2)

    def test_cookies_that_are_not_accepted_any_more(self):
        """From the end of the reload or upgrade on that says so."""
        secrets = [os.path.join(self.directory, name) for name in ('first', 'second')]
        for number, path in enumerate(secrets):
            with open(path, 'w', encoding='ascii') as file:
                file.write(f'{number + 1:032x}\n')
        more = {'control': {'socket': self.control_path()},
                'server': {'cookie-secrets': secrets[0]}}
        ouzel = self.start(**more)
        self.make_popular(harness.plain_query('www.example'))
        cookie = self.cookie_far(b'12345678')
        self.assertEqual(self.assert_cookie(ouzel, cookie, 1), cookie)
        self.reload(ouzel, self.settings(control=more['control'], server={'cookies': False}))
        self.make_popular(harness.plain_query('www.example'))
        self.assertIsNone(self.assert_cookie(ouzel, cookie, 0))
        self.reload(ouzel, self.settings(**more))
        self.make_popular(harness.plain_query('www.example'))
        self.assertEqual(self.assert_cookie(ouzel, cookie, 1), cookie)
        more['server']['cookie-secrets'] = secrets[1]
        self.write(ouzel, self.settings(**more))
        self.upgrade()
        new = self.assert_cookie(ouzel, cookie, 0)
        self.assertNotEqual(new, cookie)
        self.assertEqual(self.assert_cookie(ouzel, new, 1), new)

    def test_flush(self):
        """What is flushed is not answered any more once the order has been carried out."""
        ouzel = self.start(control={'socket': self.control_path()})
        data = harness.plain_query('www.example')
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        subprocess.run([harness.BINARY, 'ctl', '--control', self.control_path(), 'flush',
                        'www.example'], check=True, capture_output=True)
        asked = len(self.asked.names())
        self.assertIsNotNone(self.ask_far(data))
        self.assertGreater(len(self.asked.names()), asked)

    def control_path(self):
        return os.path.join(self.directory, 'control')

    def test_top(self):
        """What is answered in the driver counts among what is asked for most."""
        ouzel = self.start(control={'socket': self.control_path()})
        often, once = harness.plain_query('often.example'), harness.plain_query('once.example')
        self.ask_far(once)
        self.make_popular(often)
        before = self.in_driver(ouzel)
        for _ in range(200):
            self.ask_far(often)
        self.assertGreaterEqual(self.in_driver(ouzel) - before, 200)
        # Those since the last sample are in none yet.
        self.assertTrue(harness.eventually(lambda: self.ask_far(often) and self.counted(
            'often.example. A') >= 200))
        self.assertLess(self.counted('once.example. A'), 10)
        self.assertGreaterEqual(self.counted(CLIENT), 200)

    def counted(self, what):
        said = subprocess.check_output([harness.BINARY, 'ctl', '--control', self.control_path(),
                                        '--json', 'top'], text=True)
        rows = json.loads(said)
        return sum(row['count'] for kind in ('questions', 'clients') for row in rows[kind]
                   if row['what'] == what)

    def test_upgrade(self):
        """The program stays where it is, nothing is lost, and the counters go on."""
        ouzel = self.start(control={'socket': self.control_path()})
        data = harness.plain_query('www.example')
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        before = self.in_driver(ouzel)
        lost, over = [], threading.Event()

        def ask_on():
            with self.far_socket() as sock:
                sock.settimeout(harness.PATIENCE)
                while not over.is_set():
                    sock.send(data)
                    try:
                        sock.recv(65535)
                    except socket.timeout:
                        lost.append(1)
        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            self.upgrade()
        finally:
            over.set()
            thread.join()
        self.assertEqual(lost, [])
        self.assertTrue(harness.eventually(lambda: not ouzel.running(), 10))
        self.assertGreater(self.in_driver(ouzel), before)
        self.assert_in_driver(ouzel, data)

    def upgrade(self, status=0):
        """Returns what is said of it, and the successor's number."""
        done = subprocess.run([harness.BINARY, 'ctl', '--control', self.control_path(), 'upgrade'],
                              check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        successor = re.search(r'process (\d+)', done.stdout)
        if successor:
            self.addCleanup(self.end, int(successor[1]))
        return done.stdout + done.stderr

    def test_upgrade_that_fails(self):
        """The program goes on, also where the successor would have had no use for it."""
        control = {'socket': self.control_path()}
        ouzel = self.start(control=control)
        data = harness.plain_query('www.example')
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(('127.0.0.1', 0))
            where = harness.join(*taken.getsockname())
            self.write(ouzel, self.settings(control=control, cache={'size': '16M'}, server={
                'listen': [f'{SERVER}:53', '127.0.0.1:53', where]}))
            self.assertIn('another program has this address', self.upgrade(1))
        self.assert_in_driver(ouzel, data)

    def test_upgrade_to_another_cache(self):
        """A successor that cannot use the program's memory goes on without it, and the program
        ends at once: what it would say is of the rules of before. Its counts go on."""
        control = {'socket': self.control_path()}
        ouzel = self.start(control=control)
        data = harness.plain_query('www.example')
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        in_driver, cached = self.in_driver(ouzel), self.cached(ouzel)
        lists = os.path.join(self.directory, 'list')
        with open(lists, 'w', encoding='ascii') as file:
            file.write('www.example\n')
        self.write(ouzel, self.settings(control=control, cache={'size': '16M'},
                                        local={'block': [lists]}))
        with socket.create_connection((SERVER, 53)):  # for which the predecessor stays
            self.upgrade()
            self.assertEqual(self.ask_far(data)[3] & 15, 3)
            self.assertNotIn('xdp', self.shown())
            self.assertEqual(self.in_driver(ouzel), in_driver)
            self.assertEqual(self.cached(ouzel), cached)

    @staticmethod
    def shown():
        return subprocess.check_output(['ip', 'link', 'show', 'cable'], text=True)

    def test_time_namespace(self):
        """The kernel's program has the machine's clock, and the process that of its namespace."""
        if not os.path.exists('/proc/self/ns/time'):
            self.skipTest('there are no time namespaces')
        asked = self.upstream()
        for offset in ('-100', '100000'):
            wrapper = os.path.join(self.directory, 'wrapper')
            with open(wrapper, 'w', encoding='ascii') as file:
                file.write(f'#!/bin/sh\nexec unshare --time --boottime={offset} '
                           f'{harness.BINARY} "$@"\n')
            os.chmod(wrapper, 0o755)
            ouzel = self.ouzel(asked, settings=self.settings(), listen=[(SERVER, 53)],
                               binary=wrapper)
            data = harness.plain_query('www.example')
            self.make_popular(data)
            self.assert_in_driver(ouzel, data)
            ouzel.terminate()

    @staticmethod
    def end(pid):
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def test_kill(self):
        """A program whose process is killed is gone."""
        ouzel = self.start()
        self.assertIn('xdp', self.shown())
        ouzel.kill()
        self.assertTrue(harness.eventually(lambda: 'xdp' not in self.shown()))

    def test_in_driver(self):
        """Where the other end of the cable has a program, the driver itself takes ours."""
        self.assertTrue(os.path.exists(PASS), PASS)
        with self.cable.far():
            ip('link', 'set', 'dev', 'far', 'xdp', 'obj', PASS, 'sec', 'xdp')
        ouzel = self.start(server={'xdp': ['cable/driver']})
        self.assertIn('xdp interface=cable/driver state="in the driver"', ouzel.output())
        data = harness.query('www.example', use_edns=0, payload=1232).to_wire()
        self.make_popular(data)
        self.assert_in_driver(ouzel, data)
        self.assert_in_driver(ouzel, data, SERVER6)

    def test_no_rights(self):
        """Without them it serves, and says what is missing."""
        upstream = self.upstream()
        settings = self.settings(server={'xdp': ['cable'], 'listen': [f'{SERVER}:5353']})
        ouzel = self.ouzel(upstream, settings=settings, listen=[(SERVER, 5353)],
                           preexec_fn=harness.become_nobody,
                           binary=self.reachable(harness.BINARY))
        self.assertIn('needs CAP_BPF', ouzel.output())
        self.assertIsNotNone(harness.ask_raw((SERVER, 5353), harness.plain_query('www.example')))
