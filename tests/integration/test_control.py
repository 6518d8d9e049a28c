# SPDX-License-Identifier: MIT
"""The control socket: the orders of `ouzel ctl` and what a running ouzel reports."""

import itertools
import json
import os
import socket
import stat
import subprocess
import threading
import time

import harness
from case import Case
from harness import ask, eventually, rdata_texts


class Control(Case):
    def start(self, *upstreams, settings=None, workers=2):
        self.path = os.path.join(self.directory, 'control.sock')
        settings = {**(settings or {}), 'control': {'socket': self.path}}
        return self.ouzel(*upstreams, settings=settings, workers=workers)

    def ctl(self, *words, status=0):
        result = subprocess.run([harness.BINARY, 'ctl', '--control', self.path, *words],
                                capture_output=True, text=True, check=False,
                                timeout=20 * harness.PATIENCE)
        said = result.stdout + result.stderr
        self.assertEqual(result.returncode, status, said)
        self.assertEqual(bool(result.stderr), status != 0, said)
        return said

    def test_socket_is_for_owner_and_group(self):
        ouzel = self.start(self.upstream())
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        self.assertEqual(ouzel.terminate(), 0)
        self.assertFalse(os.path.exists(self.path))
        self.assertIn('cannot reach ouzel', self.ctl('stats', status=1))

    def test_socket_of_a_dead_one_is_put_aside(self):
        first = self.start(self.upstream())
        first.kill()
        self.assertTrue(os.path.exists(self.path))
        self.start(self.upstream())
        self.assertIn('ouzel_queries_total', self.ctl('stats'))
        second = self.ouzel(self.upstream(), settings={'control': {'socket': self.path}},
                            wait=False)
        self.assertEqual(second.wait(5), 1)
        self.assertIn('another program listens there', second.output())
        self.assertIn('ouzel_queries_total', self.ctl('stats'))

    def test_stats_are_those_of_the_page(self):
        ouzel = self.start(self.upstream())
        ask(ouzel.server, 'a.example')
        self.assertEqual(set(json.loads(self.ctl('stats', '--json'))), set(ouzel.stats_json()))
        self.assertEqual(harness.metric_sum(harness.parse_metrics(self.ctl('stats')),
                                            'ouzel_queries_total'),
                         ouzel.total('ouzel_queries_total'))

    def test_drain(self):
        """A load balancer that reads /readyz sends no more clients; those that come get answers."""
        ouzel = self.start(self.upstream())
        ask(ouzel.server, 'a.example')
        self.assertEqual(ouzel.http('/readyz')[0], 200)
        self.assertIn('draining', self.ctl('drain'))
        self.assertEqual(ouzel.http('/readyz')[::2], (503, 'draining\n'))
        self.assertEqual(ouzel.http('/healthz')[0], 200)
        self.assertIn('already', self.ctl('drain', status=1))
        end = time.monotonic() + 5  # longer than it waits for a query
        while time.monotonic() < end:
            quiet = time.monotonic()
            self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
            self.assertIsNone(ouzel.wait(0.2), 'it ended although it was asked')
        self.assertEqual(ouzel.wait(10), 0, ouzel.output())
        self.assertGreater(time.monotonic() - quiet, 2)
        self.assertIn('drained, ending', ouzel.output())
        self.assertFalse(os.path.exists(self.path))

    def test_upstreams(self):
        good, dead = self.upstream(), self.upstream(lambda asked: None)
        ouzel = self.start(good, dead)
        for number in range(40):
            ask(ouzel.server, f'n{number}.example')

        def rows_of():
            return {row['address']: row for row in json.loads(self.ctl('upstreams', '--json'))}
        self.assertEqual(set(rows_of()), {str(good), str(dead)})
        self.assertTrue(eventually(lambda: rows_of()[str(dead)]['health'] == 'dead'))
        rows = rows_of()
        self.assertEqual(rows[str(good)]['health'], 'alive')
        self.assertGreater(rows[str(good)]['fast_us'], 0)
        self.assertLess(rows[str(good)]['last_reply_us_ago'], 5000000)
        self.assertIsNone(rows[str(dead)]['last_reply_us_ago'])
        for former, name in ('heard_us_ago', 'last_reply_us_ago'), ('spelling', 'random_case'):
            self.assertEqual([row[former] for row in rows.values()],
                             [row[name] for row in rows.values()])
        lines = self.ctl('upstreams').splitlines()
        self.assertRegex(lines[1], rf'^{good} +alive ')
        self.assertRegex(lines[2], rf'^{dead} +dead .* never')

    def test_upstream_that_fails_what_another_answers(self):
        state = {'rcode': 2}
        bad = self.upstream(lambda asked: asked.send(asked.reply(rcode=state['rcode'])))
        good = self.upstream()
        ouzel = self.start(settings={'forward': [
            {'zone': '.', 'to': [str(bad), str(good)], 'strategy': 'ordered'}]})
        bad_row = {'upstream': str(bad)}

        def failing():
            ask(ouzel.server, f'n{next(numbers)}.example')
            return json.loads(self.ctl('upstreams', '--json'))[0]['health'] == 'failing'
        numbers = itertools.count()
        self.assertTrue(eventually(failing, 10))
        self.assertRegex(self.ctl('upstreams'), rf'(?m)^{bad} +failing ')
        self.assertEqual(ouzel.total('ouzel_upstream_failing', **bad_row), 1)
        self.assertEqual(ouzel.total('ouzel_upstream_up', **bad_row), 1)
        state['rcode'] = 0
        self.assertTrue(eventually(lambda: not failing(), 10))
        self.assertEqual(ouzel.total('ouzel_upstream_failing', **bad_row), 0)

    def test_flush(self):
        fake = self.upstream()
        ouzel = self.start(fake)
        names = ['example', 'a.example', 'b.a.example', 'aa.example', 'other.test2']

        def kept():
            fake.asked.clear()
            for name in names:
                ask(ouzel.server, name)
            return [name for name in names if name not in fake.names()]
        kept()
        self.assertEqual(self.ctl('flush', 'A.Example'), 'flushed: 1 answers\n')
        self.assertEqual(kept(), [name for name in names if name != 'a.example'])
        self.assertEqual(self.ctl('flush', 'a.example', '--subtree'), 'flushed: 2 answers\n')
        self.assertEqual(kept(), ['example', 'aa.example', 'other.test2'])
        self.assertEqual(self.ctl('flush', '--all'), f'flushed: {len(names)} answers\n')
        self.assertEqual(kept(), [])
        self.assertIn('is no domain name', self.ctl('flush', 'a..b', status=1))
        self.assertIn('is no domain name', self.ctl('flush', status=1))

    def test_flush_of_a_full_cache_delays_no_client(self):
        ouzel = self.start(self.upstream(), settings={'cache': {'size': '64M'}})
        queries = [harness.plain_query(f'n{i}.example') for i in range(3000)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries))
        results = []
        thread = threading.Thread(target=lambda: results.append(
            harness.ask_many(ouzel.server, queries * 3)))
        thread.start()
        for _ in range(20):
            self.ctl('flush', '--all')
        thread.join()
        self.assertNotIn(None, results[0])
        self.assert_balance(ouzel)

    def explain(self, *words):
        return json.loads(self.ctl('explain', *words, '--json'))

    def test_explain(self):
        held = threading.Event()

        def script(asked):
            if asked.name.startswith('fails'):
                asked.send(asked.reply(rcode=2))
            elif asked.name.startswith('slow'):
                held.wait(5)
                asked.send(asked.reply())
            else:
                asked.send(asked.reply(ttl=100))
        fake = self.upstream(script)
        hosts = os.path.join(self.directory, 'hosts')
        block = os.path.join(self.directory, 'block')
        for path, text in ((hosts, '192.0.2.7 printer.lan\n'), (block, 'bad.example\n')):
            with open(path, 'w', encoding='ascii') as file:
                file.write(text)
        ouzel = self.start(fake, settings={'local': {'hosts': [hosts], 'block': [block]}})
        self.assertEqual(self.explain('a.example')['outcome'], 'upstream')
        for _ in range(3):
            ask(ouzel.server, 'a.example')
        told = self.explain('a.example')
        self.assertEqual(told['outcome'], 'memory')
        self.assertEqual(told['cached']['hits'], 2, 'to look is no hit')
        self.assertIn(told['cached']['ttl_s'], range(90, 101))
        self.assertEqual(told['zone'], '.')
        self.assertEqual(told['cached']['upstream'], str(fake))
        self.assertEqual(told['cached']['transport'], 'udp')
        self.assertEqual(told['cached']['validation'], 'unchecked')
        self.assertFalse(told['cached']['withheld'])
        self.assertEqual(told['kept'], told['cached'], 'its former name')
        self.assertIn(f'from {fake} over udp', self.ctl('explain', 'a.example'))
        self.assertEqual(self.explain('printer.lan')['outcome'], 'local')
        self.assertEqual(self.explain('www.bad.example', 'AAAA')['outcome'], 'blocked')
        ask(ouzel.server, 'fails.example')
        told = self.explain('fails.example')
        self.assertEqual((told['outcome'], told['failed']), ('failure', True))
        client = harness.client_socket(ouzel.server)
        self.addCleanup(client.close)
        client.send(harness.plain_query('slow.example'))
        self.assertTrue(eventually(lambda: 'slow.example' in fake.names()))
        told = self.explain('slow.example')
        held.set()
        self.assertEqual((told['outcome'], told['waiting']), ('join', 1))
        self.assertEqual(self.explain('a.example', '--client', '192.0.2.1')['outcome'], 'refused')
        self.assertIn('expires in', self.ctl('explain', 'a.example', 'A'))
        for words in (('a.example', 'NOTYPE'), ('a.example', '--client', 'x'), ('..',)):
            self.ctl('explain', *words, status=1)

    def test_explain_what_came_over_tcp(self):
        def script(asked):
            asked.send(asked.reply(flags=0 if asked.tcp else 0x0200))
        fake = self.upstream(script, tcp=True)
        ouzel = self.start(fake)
        self.assertIsNotNone(ask(ouzel.server, 'a.example'))
        told = self.explain('a.example')
        self.assertEqual((told['cached']['upstream'], told['cached']['transport']),
                         (str(fake), 'tcp'))

    def test_explain_which_line_blocks(self):
        """The longest name that is listed counts, and the first line that lists it."""
        paths = [os.path.join(self.directory, name) for name in ('first', 'second')]
        for path, text in zip(paths, ('# comment\n\nnet\n0.0.0.0 a.org ads.example.net\n',
                                      'ads.example.net\n||example.net^\n@@||good.net^\n')):
            with open(path, 'w', encoding='ascii') as file:
                file.write(text)
        self.start(self.upstream(), settings={'local': {'block': paths}})
        for name, at, line in (('x.ads.example.net', 0, 4), ('Example.NET', 1, 2),
                               ('other.net', 0, 3), ('a.org', 0, 4)):
            told = self.explain(name)
            self.assertEqual(told['outcome'], 'blocked')
            self.assertEqual(told['list'], {'file': paths[at], 'line': line})
            self.assertIn(f'{paths[at]}:{line}\n', self.ctl('explain', name))
        self.assertEqual(self.explain('good.net')['outcome'], 'upstream')
        self.assertNotIn('list', self.explain('good.net'))
        # They may be others by now, or not there.
        with open(paths[0], 'w', encoding='ascii') as file:
            file.write('nothing.org\n')
        self.assertIsNone(self.explain('other.net')['list'])
        self.assertIn('a list has changed', self.ctl('explain', 'other.net'))
        os.unlink(paths[1])
        self.assertIn('cannot be read', self.ctl('explain', 'other.net'))

    def test_top(self):
        fake = self.upstream(lambda asked: asked.send(asked.reply(
            rcode=2 if asked.name.startswith('fails') else 0)))
        ouzel = self.start(fake)
        for number in range(100):
            name = f'n{number}.example' if number % 2 else 'Often.Example'
            ask(ouzel.server, name, source='127.0.0.9' if number % 10 else '127.0.0.8')
            harness.lapse(0.0015)  # one of those within a millisecond is counted for all of them
        for number in range(5):
            ask(ouzel.server, 'fails.example', 'AAAA')
            harness.lapse(0.0015)
        told = json.loads(self.ctl('top', '--json'))
        first = told['questions'][0]
        self.assertEqual(first['what'], 'often.example. A')
        self.assertEqual(first['count'], 50)
        self.assertAlmostEqual(first['share'], 50 / 105, places=2)
        clients = {row['what']: row['count'] for row in told['clients']}
        self.assertEqual(clients['127.0.0.9'], 90)
        self.assertEqual(told['failures'], [{'what': 'fails.example. AAAA', 'share': 1.0,
                                             'count': 5}])
        self.assertRegex(self.ctl('top'), r'47\.6 %  often\.example\. A\n')

    def test_reload_snapshot_and_log(self):
        fake = self.upstream()
        snapshot = os.path.join(self.directory, 'snapshot')
        ouzel = self.start(fake, settings={'cache': {'snapshot': snapshot}})
        ask(ouzel.server, 'a.example')
        self.assertRegex(self.ctl('snapshot'), r'^1 answers written to ')
        self.assertTrue(os.path.exists(snapshot))
        self.assertEqual(self.ctl('log', 'error'), 'log level: error\n')
        self.assertIn('is not valid', self.ctl('log', 'loud', status=1))
        with open(ouzel.settings_path, 'a', encoding='ascii') as file:
            file.write('access:\n  allow: [192.0.2.0/24]\n')
        said = self.ctl('reload')
        self.assertIn('access.allow: 192.0.2.0/24, was 127.0.0.0/8', said)
        self.assertIn('reloaded: 1 settings have changed', said)
        self.assert_status(ask(ouzel.server, 'a.example'), 'REFUSED')
        with open(ouzel.settings_path, 'a', encoding='ascii') as file:
            file.write('acces: {}\n')
        self.assertRegex(self.ctl('reload', status=1), r'\.yaml:\d+: .*did you mean')
        self.assert_status(ask(ouzel.server, 'a.example'), 'REFUSED')

    def test_words_that_it_does_not_know(self):
        for words in (['bogus'], [], ['flush', '--sub'], ['stats', 'more'], ['flush', 'a', 'b'],
                      ['explain', 'a', '--client']):
            self.path = '/nowhere/at/all'
            self.assertIn('See `ouzel help ctl`', self.ctl(*words, status=2))

    def test_garbage_at_the_socket(self):
        ouzel = self.start(self.upstream())
        for noise in (b'', b'\0' * 1000, b'GET /nothing HTTP/1.0\r\n\r\n',
                      b'POST /flush HTTP/1.1\r\n', b'GET /reload HTTP/1.0\r\n\r\n',
                      b'A' * 100000):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(0.3)
                sock.connect(self.path)
                try:
                    sock.sendall(noise)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(4096)
                except OSError:
                    pass  # it may close as soon as it knows
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assertIn('ouzel_queries_total', self.ctl('stats'))
