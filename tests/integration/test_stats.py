# SPDX-License-Identifier: MIT
"""The stats address: /metrics, /stats.json and /healthz, and that the counters balance."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
from case import Case
from harness import ask


class Stats(Case):
    def setUp(self):
        super().setUp()
        self.fake = self.upstream()
        self.process = self.ouzel(self.fake, workers=2)

    def test_metrics(self):
        ask(self.process.server, 'a.example')
        status, kind, text = self.process.http('/metrics')
        self.assertEqual(status, 200)
        self.assertTrue(kind.startswith('text/plain'), kind)
        rows = harness.parse_metrics(text)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_queries_total'), 1)
        for name, _ in rows:
            self.assertTrue(name.startswith(('ouzel_', 'process_')), name)
        for name, kind in re.findall(r'^# TYPE (\S+) (\S+)$', text, re.M):
            self.assertEqual(name.endswith('_total'), kind == 'counter', f'{name} is a {kind}')
        for name, words in re.findall(r'^# HELP (\S+) ?(.*)$', text, re.M):
            self.assertTrue(words, f'{name} has an empty HELP')

    def test_json_says_the_same(self):
        for _ in range(3):
            ask(self.process.server, 'a.example')
        self.assertTrue(self.process.quiet())
        status, kind, _ = self.process.http('/stats.json')
        self.assertEqual(status, 200)
        self.assertTrue(kind.startswith('application/json'), kind)
        text = str(self.process.stats_json())
        upstream = self.process.stats_json()['upstreams'][0]
        self.assertEqual(upstream['address'], str(self.fake))
        for name, labels in self.process.metrics():
            base = re.sub('(?<=_seconds)_(bucket|sum|count)$', '', name)
            if name.startswith('ouzel_') and 'upstream' not in dict(labels):
                self.assertIn(base, text)

    def test_former_names(self):
        """Metrics and members of JSON that were renamed are still there, with the same values."""
        process = self.ouzel(self.fake, settings={'queries': {'log': True}})
        for name in 'a.example', 'b.example', 'a.example':
            ask(process.server, name)
        self.assertTrue(process.quiet())
        text = process.http('/metrics')[2]
        rows, stats = harness.parse_metrics(text), process.stats_json()
        renamed = re.findall(r'^# HELP (\S+) Former name of (\S+); will go with the next major '
                             r'version\.$', text, re.M)
        self.assertEqual(len(renamed), 10)
        for former, name in renamed:
            self.assertEqual(harness.metric_sum(rows, former), harness.metric_sum(rows, name))
            values = (stats[key] if isinstance(stats[key], int) else list(stats[key].values())
                      for key in (former, name))
            self.assertEqual(*values, former)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_tapped_total', verdict='told'), 3)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answer_log_total', verdict='logged'), 3)
        self.assertEqual(stats['ouzel_tapped_total'], {'told': 3, 'left-out': 0})
        self.assertGreater(harness.metric_sum(rows, 'ouzel_ports_opened_total'), 0)

    def test_times(self):
        """A histogram grows by each answer, and shows how long clients have waited."""
        self.fake.script = lambda asked: asked.send(asked.reply(), delay=0.05)
        for number in range(20):
            for _ in range(3):
                ask(self.process.server, f'n{number}.example')
        rows = self.process.metrics()
        count = {source: harness.metric_sum(rows, 'ouzel_answer_seconds_count', source=source)
                 for source in ('memory', 'upstream', 'stale')}
        self.assertEqual(count, {'memory': 40, 'upstream': 20, 'stale': 0})
        total = harness.metric_sum(rows, 'ouzel_answer_seconds_sum', source='upstream')
        self.assertGreater(total, 20 * 0.05)
        self.assertLess(harness.metric_sum(rows, 'ouzel_answer_seconds_sum', source='memory'), 0.4)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answer_seconds_bucket',
                                            source='upstream', le='0.032768'), 0)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answer_seconds_bucket',
                                            source='upstream', le='+Inf'), 20)
        before = 0
        for (name, labels), value in rows.items():
            if name == 'ouzel_upstream_reply_seconds_bucket':
                self.assertGreaterEqual(value, before)
                before = value
        self.assertGreaterEqual(before, 20)
        times = self.process.stats_json()['ouzel_answer_seconds']['upstream']
        self.assertEqual(times['count'], 20)
        self.assertGreater(times['p50'], 0.05)
        self.assertGreaterEqual(times['p99'], times['p50'])

    def test_upstreams(self):
        for number in range(20):
            ask(self.process.server, f'n{number}.example')
        rows = self.process.metrics()
        labels = {'upstream': str(self.fake)}
        self.assertEqual(harness.metric_sum(rows, 'ouzel_upstream_up', **labels), 1)
        fast = harness.metric_sum(rows, 'ouzel_upstream_latency_seconds', mode='fast', **labels)
        slow = harness.metric_sum(rows, 'ouzel_upstream_latency_seconds', mode='slow', **labels)
        self.assertTrue(0 < fast <= slow < 1, (fast, slow))
        self.assertEqual(harness.metric_sum(rows, 'ouzel_upstream_loss_ratio', **labels), 0)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_kernel_drops_total'), 0)

    def test_top(self):
        for name in 'often.example', 'seldom.example', 'often.example':
            ask(self.process.server, name)
            harness.lapse(0.0015)  # one of those within a millisecond is counted for all of them
        status, kind, text = self.process.http('/top.json')
        self.assertEqual((status, kind), (200, 'application/json'))
        top = json.loads(text)
        self.assertEqual(top['questions'][0]['what'], 'often.example. A')
        self.assertEqual(top['clients'][0]['what'], '127.0.0.1')
        self.assertEqual(top['failures'], [])

    def test_top_is_hidden_by_its_setting(self):
        process = self.ouzel(self.fake, settings={'stats': {'top': 'false'}})
        ask(process.server, 'a.example')
        self.assertEqual(process.http('/top.json')[0], 404)
        self.assertEqual(process.http('/stats.json')[0], 200)

    def get(self, path, host):
        """The status of a request with this Host header; None: without one."""
        connection = http.client.HTTPConnection(*self.process.stats, timeout=5)
        self.addCleanup(connection.close)
        connection.putrequest('GET', path, skip_host=True)
        if host:
            connection.putheader('Host', host)
        else:
            connection._http_vsn_str = 'HTTP/1.0'  # pylint: disable=protected-access
        connection.endheaders()
        return connection.getresponse().status

    def test_host_of_another(self):
        """A page from elsewhere whose name leads here (DNS rebinding) learns nothing."""
        address, port = self.process.stats
        for path in '/metrics', '/top.json', '/':
            for host in f'{address}:{port}', 'localhost', f'localhost:{port}', '[::1]:9053':
                self.assertEqual(self.get(path, host), 200, (path, host))
            for host in 'evil.example', f'evil.example:{port}', f'{address}.evil.example':
                self.assertEqual(self.get(path, host), 421, (path, host))
        self.process = self.ouzel(self.fake, settings={'stats': {'hosts': ['ouzel.example']}})
        self.assertEqual(self.get('/metrics', 'Ouzel.Example:80'), 200)
        self.assertEqual(self.get('/metrics', 'evil.example'), 421)

    def test_silent_connections_delay_no_other(self):
        """Nor such as send half a request, nor those that were answered and stay."""
        for said in (b'', b'GET /metrics HTTP/1.1\r\n',
                     b'GET /healthz HTTP/1.1\r\nHost: ::1\r\n\r\n'):
            with contextlib.ExitStack() as stack:
                for _ in range(150):
                    sock = stack.enter_context(socket.create_connection(self.process.stats, 5))
                    with contextlib.suppress(OSError):
                        sock.sendall(said)
                start = time.monotonic()
                self.assertEqual(self.process.http('/healthz')[0], 200)
                self.assertLess(time.monotonic() - start, 2 * harness.PATIENCE)

    def test_healthz(self):
        self.assertEqual(self.process.http('/healthz')[0], 200)

    def test_alerts_and_dashboard_ask_for_what_there_is(self):
        """Each metric and each label value that the files of packaging/ name exists."""
        ask(self.process.server, 'a.example')
        text = self.process.http('/metrics')[2]
        names = {name for name, _ in harness.parse_metrics(text)}
        for path in ('prometheus/alerts.yaml', 'grafana/ouzel.json'):
            with open(os.path.join(harness.ROOT, 'packaging', path), encoding='utf-8') as file:
                wanted = file.read().replace('\\"', '"')
            for name in set(re.findall(r'\b((?:ouzel|process)_[a-z_]+[a-z])\b', wanted)):
                self.assertIn(name, names, path)
            for label in set(re.findall(r'\b((?:source|mode|verdict)="[a-z-]+")', wanted)):
                self.assertIn(label, text, path)

    @unittest.skipUnless(shutil.which('promtool'), 'promtool is not installed')
    def test_promtool_is_content(self):
        text = self.process.http('/metrics')[2]
        done = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True,
                              text=True, check=False, timeout=30)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))
        rules = os.path.join(harness.ROOT, 'packaging', 'prometheus', 'alerts.yaml')
        subprocess.run(['promtool', 'check', 'rules', rules], check=True, timeout=30,
                       stdout=subprocess.DEVNULL)

    def test_kernel_drops(self):
        """What arrives while a worker does not run, and has no room to wait, is not forgotten."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.process.pid, signal.SIGCONT)
        with harness.client_socket(self.process.server) as sock:
            for _ in range(20000):
                sock.send(b'\0' * 600)
        os.kill(self.process.pid, signal.SIGCONT)
        self.assertGreater(self.process.total('ouzel_kernel_drops_total'), 1000)
        self.assert_balance(self.process)

    def test_other_paths_and_methods(self):
        self.assertEqual(self.process.http('/nothing/here')[0], 404)
        connection = http.client.HTTPConnection(*self.process.stats, timeout=5)
        self.addCleanup(connection.close)
        connection.request('POST', '/metrics', body=b'x')
        self.assertIn(connection.getresponse().status, (404, 405))
        connection.close()
        connection.request('HEAD', '/metrics')
        self.assertIn(connection.getresponse().status, (200, 404, 405))

    def test_balance(self):
        """A mixture of everything: each query is found in exactly one of the rows."""
        def script(asked):
            if asked.name.startswith('dead'):
                return
            asked.send(asked.reply(rcode=2 if asked.name.startswith('sick') else 0))
        self.fake.script = script
        server = self.process.server
        for number in range(30):
            ask(server, f'n{number % 10}.example')
            harness.ask_raw(server, b'\0\0\x80', timeout=0.01)
            harness.ask_raw(server, b'\0' * 12, timeout=0.5)
            harness.ask_raw(server, b'\0\0\x80\0' + b'\0' * 8, timeout=0.01)
        ask(server, 'sick.example', timeout=7)
        ask(server, 'dead.example', timeout=7)
        rows = self.process.metrics()
        self.assertEqual(harness.metric_sum(rows, 'ouzel_queries_total'), 122)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answers_total', source='cache'), 20)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answers_total', source='upstream'), 10)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answers_total', source='error'), 30)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_answers_total', source='failure'), 2)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_drops_total', reason='short'), 30)
        self.assertEqual(harness.metric_sum(rows, 'ouzel_drops_total', reason='response'), 30)
        self.assert_balance(self.process)
        sent = harness.metric_sum(rows, 'ouzel_upstream_queries_total', transport='udp')
        self.assertEqual(sent, len(self.fake.asked) + len(self.fake.probes))

    def test_counters_only_grow_while_scraped(self):
        """Scraped again and again under load, no counter ever goes back."""
        stop = threading.Event()
        queries = [harness.plain_query(f'n{i}.example') for i in range(200)]

        def load():
            while not stop.is_set():
                harness.ask_many(self.process.server, queries)
        thread = threading.Thread(target=load)
        thread.start()
        try:
            before = self.process.metrics()
            for _ in range(30):
                after = self.process.metrics()
                for (name, labels), value in before.items():
                    if name.endswith('_total'):
                        self.assertGreaterEqual(after[name, labels], value, name)
                before = after
        finally:
            stop.set()
            thread.join(20)
        self.assert_balance(self.process)
