# SPDX-License-Identifier: MIT
"""The cost of monitoring: cached answers over loopback without monitoring, and while /metrics is
scraped many times a second and the page is open, in turns; and the CPU time of each
kind of request by itself, which a noisy machine does not blur."""

import http.client
import shutil
import statistics
import tempfile
import threading
import time

from bench.lab import process
from bench.lab.alone import Alone
from bench.lab.cables import Cleaner, Trouble, results_write, tools_check

PAGE = (('/stats.json', 1.0), ('/top.json', 5.0))  # what it asks for, and every how many seconds
THREAD = 'MHD-single'  # libmicrohttpd's name of the thread that answers
REQUESTS = 300         # of each kind, to see what one takes


class Watcher(threading.Thread):
    """Asks for a path every so many seconds, over one connection, from its start until its end."""

    def __init__(self, stats, path, every_s):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(*stats, timeout=10)
        self.path, self.every_s = path, every_s
        self.end = threading.Event()
        self.count = 0
        self.fault = None

    def ask(self):
        self.connection.request('GET', self.path)
        reply = self.connection.getresponse()
        if not reply.read() or reply.status != 200:
            raise Trouble(f'{self.path} is answered with status {reply.status}')
        self.count += 1

    def run(self):
        due = time.monotonic()
        try:
            while not self.end.wait(max(0, due - time.monotonic())):
                self.ask()
                due += self.every_s
        except (OSError, http.client.HTTPException, Trouble) as fault:
            self.fault = fault
        finally:
            self.connection.close()

    def stop(self):
        self.end.set()
        self.join()
        if self.fault:
            raise Trouble(f'the scrapes get no answer: {self.fault}')


def watch_times(options):
    """(path, seconds between two requests) of all that watch."""
    return (('/metrics', 1 / options.scrapes), *PAGE)


def used_us(alone):
    """CPU time of the whole process, and of the thread that answers scrapes."""
    pid = alone.ouzel.pid
    return process.threads_cpu_us(pid), process.threads_cpu_us(pid, THREAD)


def round_run(alone, options, watched):
    """One run of dnsperf, watched or not."""
    watchers = [Watcher(alone.ouzel.stats, *times) for times in watch_times(options) if watched]
    before = used_us(alone)[1]
    for watcher in watchers:
        watcher.start()
    try:
        row = alone.dnsperf('-q', '400', '-c', '10', '-T', '1', seconds=options.seconds)
    finally:
        for watcher in watchers:
            watcher.stop()
    row['requests'] = sum(watcher.count for watcher in watchers)
    row['thread_us'] = used_us(alone)[1] - before
    return row


def request_cost(alone, path):
    """CPU time of one request, in all threads and in the one that answers, without other load
    for anything."""
    watcher = Watcher(alone.ouzel.stats, path, 0)
    watcher.ask()
    whole, thread = used_us(alone)
    for _ in range(REQUESTS):
        watcher.ask()
    after = used_us(alone)
    watcher.connection.close()
    return {'cpu_us': (after[0] - whole) / REQUESTS, 'thread_us': (after[1] - thread) / REQUESTS}


def rounds(alone, options):
    rows = {'alone': [], 'watched': []}
    print(f'{"round":>5}  {"alone/s":>9} {"us/answer":>9}  {"watched/s":>9} {"us/answer":>9}  '
          f'{"ratio":>6}')
    for number in range(options.rounds):
        for kind in ('alone', 'watched')[::1 if number % 2 else -1]:
            rows[kind].append(round_run(alone, options, kind == 'watched'))
        a, b = rows['alone'][-1], rows['watched'][-1]
        print(f'{number + 1:>5}  {a["rate"]:>9,.0f} {a["cpu_us"]:>9.3f}  {b["rate"]:>9,.0f} '
              f'{b["cpu_us"]:>9.3f}  {b["rate"] / a["rate"]:>6.3f}', flush=True)
    return rows


def report_make(options, rows, costs):
    pairs = list(zip(rows['alone'], rows['watched']))
    share = sum(costs[path]['cpu_us'] / every_s / 1e6 for path, every_s in watch_times(options))
    busy_us = sum(b['thread_us'] for _, b in pairs)
    return {
        'rows': rows, 'costs': costs, 'scrapes': options.scrapes, 'seconds': options.seconds,
        'ratio': statistics.median(b['rate'] / a['rate'] for a, b in pairs),
        'by_cpu': statistics.median(a['cpu_us'] / b['cpu_us'] for a, b in pairs),
        'request_thread_us': busy_us / sum(b['requests'] for _, b in pairs),
        'share_under_load': busy_us / 1e6 / (options.seconds * len(pairs)),
        'share_at_rest': share}


def report_print(report):
    print(f'median of the rate while watched over that alone: {report["ratio"]:.3f} '
          f'(by CPU an answer {report["by_cpu"]:.3f})\n'
          f'under load a request takes {report["request_thread_us"] / 1e3:.3f} ms of the thread '
          f'that answers it, all of them {100 * report["share_under_load"]:.2f} % of one CPU')
    for path, cost in report['costs'].items():
        print(f'at rest {path:11} takes {cost["cpu_us"] / 1e3:.3f} ms of CPU, of it '
              f'{cost["thread_us"] / 1e3:.3f} ms in that thread')
    print(f'{report["scrapes"]} scrapes a second and the open page would so take '
          f'{100 * report["share_at_rest"]:.2f} % of one CPU')


def measure(options):
    tools_check('dnsperf')
    cleaner = Cleaner()
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    cleaner.add(shutil.rmtree, directory, True)
    with Alone(directory) as alone:
        round_run(alone, options, False)  # the first is the slowest: nothing is warm yet
        rows = rounds(alone, options)
        time.sleep(1)
        costs = {path: request_cost(alone, path) for path, _ in watch_times(options)}
    cleaner.clean()
    report = report_make(options, rows, costs)
    report_print(report)
    results_write('scrape', report)
