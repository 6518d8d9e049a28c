# SPDX-License-Identifier: MIT
"""The log of single answers: log lines, and dnstap as its tools read it."""

import json
import os
import re
import socket
import subprocess
import time

import dns.query

import harness
from case import Case
from harness import ask, eventually


class QueryLog(Case):
    WEIGHT = 2

    def setUp(self):
        super().setUp()
        self.socket = os.path.join(self.directory, 'dnstap')
        self.local = {'local': {'records': ['a.test. 60 A 192.0.2.9']}}

    def start(self, *upstreams, workers=1, **queries):
        self.settings = {**self.local, 'queries': queries} if queries else self.local
        return self.ouzel(*upstreams, settings=self.settings, workers=workers)

    def lines(self, ouzel, count):
        """The lines of so many answers, where there have been no more."""
        def found():
            return [line for line in ouzel.output().splitlines() if 'msg=query ' in line]
        self.assertTrue(eventually(lambda: len(found()) >= count), ouzel.output())
        self.assertEqual(ouzel.total('ouzel_answer_log_total'), count)
        self.assertEqual(len(found()), count)
        return found()

    def test_lines(self):
        fake = self.upstream(lambda asked: asked.send(
            asked.reply(), delay=0.2 if asked.name.startswith('slow') else 0))
        ouzel = self.start(fake, log=True)
        ask(ouzel.server, 'a.test')
        ask(ouzel.server, 'slow.example', use_edns=0)
        ask(ouzel.server, 'slow.example')
        dns.query.tcp(harness.query('A.test', 'AAAA'), ouzel.server[0], 5, port=ouzel.server[1])
        ask(ouzel.server, 'x y"\\\n.test', 'TXT')
        rows = self.lines(ouzel, 5)
        head = r'level=info msg=query client=127\.0\.0\.1:\d+ '
        for row, rest in zip(rows, (
                r'transport=udp name=a\.test\. type=A rcode=NOERROR source=local us=0 octets=40',
                r'transport=udp name=slow\.example\. type=A rcode=NOERROR source=upstream '
                r'us=[23]\d{5} octets=57',
                r'transport=udp name=slow\.example\. type=A rcode=NOERROR source=cache us=0 .*',
                r'transport=tcp name=[aA]\.test\. type=AAAA rcode=NOERROR source=local us=0 .*',
                r'transport=udp name="x\\\\032y\\\\034\\\\010\.test\." type=TXT rcode=NXDOMAIN '
                r'source=local .*')):
            self.assertRegex(row, f'^{head}{rest}$')

    def test_off_on_and_off_again(self):
        ouzel = self.start()
        ask(ouzel.server, 'a.test')
        self.reload(ouzel, {**self.local, 'queries': {'log': True}, 'log': {'format': 'json'}})
        ask(ouzel.server, 'a.test')
        self.assertTrue(eventually(lambda: '"msg":"query"' in ouzel.output()))
        row = json.loads([line for line in ouzel.output().splitlines() if '"query"' in line][-1])
        self.assertEqual((row['name'], row['type'], row['source']), ('a.test.', 'A', 'local'))
        self.reload(ouzel, self.local)
        ask(ouzel.server, 'a.test')
        self.assertEqual(ouzel.total('ouzel_answer_log_total'), 1)
        self.assertEqual(ouzel.terminate(), 0)  # what there is to be written has been written then
        self.assertEqual(ouzel.output().count('"msg":"query"'), 1)

    def test_one_in_ten(self):
        ouzel = self.start(log=True, **{'one-in': 10})
        harness.ask_many(ouzel.server, [harness.plain_query('a.test')] * 1000)
        self.lines(ouzel, 100)
        self.assertEqual(ouzel.total('ouzel_answer_log_total', verdict='logged'), 100)

    def capture(self):
        """A reader of dnstap; returns its process and the file it writes."""
        path = os.path.join(self.directory, f'captured.{time.monotonic_ns()}')
        process = self.keep(harness.Process(
            ['fstrm_capture', '-t', 'protobuf:dnstap.Dnstap', '-u', self.socket, '-w', path],
            path + '.log'))
        self.assertTrue(eventually(lambda: os.path.exists(self.socket)))
        return process, path

    @staticmethod
    def told(path, *options):
        return subprocess.run(['dnstap-ldns', *options, '-r', path], capture_output=True,
                              text=True, check=True, timeout=20).stdout

    def test_dnstap(self):
        fake = self.upstream(lambda asked: asked.send(asked.reply(), delay=0.1))
        capture, path = self.capture()
        ouzel = self.start(fake, dnstap=self.socket)

        def connected():
            ask(ouzel.server, 'early.test')
            return os.path.exists(path) and os.path.getsize(path) > 200
        self.assertTrue(eventually(connected, 15, step=0.1))
        ask(ouzel.server, 'a.test')
        ask(ouzel.server, 'www.example')
        dns.query.tcp(harness.query('a.test', 'MX'), ouzel.server[0], 5, port=ouzel.server[1])
        ouzel.terminate()
        capture.terminate()
        rows = [row for row in self.told(path).splitlines() if 'early.test' not in row]
        self.assertEqual(len(rows), 3, rows)
        for row, rest in zip(rows, ('UDP 40b "a.test." IN A', 'UDP 45b "www.example." IN A',
                                    r'TCP \d+b "a.test." IN MX')):
            self.assertRegex(row, rf'^\d\d\d\d-.* CR 127\.0\.0\.1 {rest}$')
        whole = self.told(path, '-y')
        self.assertIn(f'response_address: "{ouzel.server[0]}"', whole)
        self.assertIn(f'response_port: {ouzel.server[1]}', whole)
        self.assertIn('www.example.\t300\tIN\tA\t192.0.2.1', whole)
        self.assertIn('version: "ouzel ', whole)
        asked, replied = [float(re.findall(rf'{word}_time: .*:([\d.]+)', whole)[-2])
                          for word in ('query', 'response')]
        self.assertTrue(0.1 <= (replied - asked) % 60 < 1, whole)

    def test_reader_comes_later_and_again(self):
        ouzel = self.start(dnstap=self.socket)
        ask(ouzel.server, 'a.test')
        for _ in range(2):
            capture, path = self.capture()

            def heard(ouzel=ouzel, path=path):
                ask(ouzel.server, 'a.test')
                return os.path.exists(path) and os.path.getsize(path) > 200
            self.assertTrue(eventually(heard, 15, step=0.1))
            capture.terminate()
            self.assertIn('"a.test." IN A', self.told(path))
        self.assert_status(ask(ouzel.server, 'a.test'), 'NOERROR')

    def test_reader_that_is_stuck(self):
        """ouzel waits for no stuck reader: it skips and counts what finds no room, and ends."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen()
            ouzel = self.start(dnstap=self.socket, log=True)
            taken = listener.accept()[0]
            replies = harness.ask_many(ouzel.server, [harness.plain_query('a.test')] * 60000)
            self.assertNotIn(None, replies)
            self.assertGreater(ouzel.total('ouzel_answer_log_total', verdict='full'), 0)
            self.assertEqual(ouzel.total('ouzel_answer_log_total'), 60000)
            self.assertEqual(ouzel.terminate(10), 0)
            taken.close()

    def test_bad_path(self):
        ouzel = self.ouzel(settings={**self.local, 'queries': {'dnstap': '/' + 'x' * 200}},
                           wait=False)
        self.assertEqual(ouzel.wait(5), 2)
        self.assertRegex(ouzel.output(), r'\.yaml:\d+: queries\.dnstap.* socket')
