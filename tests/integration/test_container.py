# SPDX-License-Identifier: MIT
"""ouzel in a container: what packaging/container and packaging/kubernetes say, and ouzel as process
1 of a container that runc runs."""

import json
import os
import re
import shutil
import signal
import subprocess
import unittest

import dns.query
import yaml

import container
import harness
from case import Case
from harness import ask, eventually

PACKAGING = os.path.join(harness.ROOT, 'packaging')
MANIFESTS = ('deployment.yaml', 'daemonset.yaml')
CALLS = ['io_uring_enter', 'io_uring_register', 'io_uring_setup']


def read(*path):
    with open(os.path.join(PACKAGING, *path), encoding='utf-8') as file:
        return file.read()


def octets(text):
    """Of a size: 256M as ouzel and Docker write it, 512Mi as Kubernetes does."""
    number, unit = re.fullmatch(r'(\d+)([KMG])i?', text).groups()
    return int(number) << {'K': 10, 'M': 20, 'G': 30}[unit]


def allow_io_uring(text, *words):
    return subprocess.run([os.path.join(PACKAGING, 'container', 'allow-io-uring'), *words],
                          input=text, capture_output=True, text=True, check=False, timeout=20)


class Files(Case):
    """The files agree with each other and with the program."""

    def settings(self):
        """The settings in the image, and those in the ConfigMap."""
        in_map = yaml.safe_load(read('kubernetes', 'configmap.yaml'))['data']['ouzel.yaml']
        return read('container', 'ouzel.yaml'), in_map

    def pods(self):
        for name in MANIFESTS:
            yield name, yaml.safe_load(read('kubernetes', name))['spec']['template']['spec']

    def test_settings_are_good(self):
        for text in self.settings():
            path = os.path.join(self.directory, 'ouzel.yaml')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            done = subprocess.run([harness.BINARY, 'check', '--config', path], check=False,
                                  capture_output=True, text=True, timeout=20 * harness.PATIENCE)
            self.assertEqual(done.returncode, 0, done.stderr)
            settings = yaml.safe_load(text)
            self.assertEqual(settings['server']['listen'], ['0.0.0.0:53'])
            self.assertEqual(settings['stats']['listen'], '0.0.0.0:9053')
            self.assertEqual(settings['control']['socket'], '/run/ouzel/control.sock')
            self.assertNotIn('user', settings['server'])

    def test_containerfile(self):
        text = read('container', 'Containerfile')
        for sources in re.findall(r'^COPY (?!--from)(.*) \S+$', text, re.M):
            for source in sources.split():
                self.assertTrue(os.path.exists(os.path.join(harness.ROOT, source)), source)
        self.assertIn(f'\nUSER {container.USER}:{container.USER}\n', text)
        self.assertIn(' install -d -m 1777 /run/ouzel ', text)
        self.assertIn('\nEXPOSE 53/udp 53/tcp 9053/tcp\n', text)
        entry = json.loads(re.search(r'^ENTRYPOINT (.*)$', text, re.M)[1])
        self.assertEqual(entry[1:], ['serve', '--config', '/etc/ouzel/ouzel.yaml'])
        self.assertIn(f'build/ouzel {entry[0]}\n', text)

    @unittest.skipUnless(shutil.which('ldd') and shutil.which('readelf'), 'no binutils')
    def test_libraries_are_in_the_image(self):
        said = subprocess.run(['readelf', '-d', harness.BINARY], capture_output=True, text=True,
                              check=True).stdout
        needed = re.findall(r'\(NEEDED\).*\[(.*)\]', said)
        places = dict(re.findall(r'^\s*(\S+) => (\S+)', subprocess.run(
            ['ldd', harness.BINARY], capture_output=True, text=True, check=True).stdout, re.M))
        if any('san.so' in name for name in needed):
            self.skipTest('a build with a sanitizer')
        image = read('container', 'Containerfile').rpartition('FROM ')[2]  # behind the build's
        installed = set(re.search(r'--no-install-recommends (.*?)&&', image,
                                  re.S)[1].replace('\\', ' ').split())
        # Without the loader, which ldd names by its path.
        files = [os.path.basename(os.path.realpath(places[name]))
                 for name in needed if name in places]
        said = subprocess.run(['dpkg-query', '-S', *files], capture_output=True, text=True,
                              check=True).stdout
        for name in files:
            packages = set(re.findall(rf'^([^\s:]+):.*/{re.escape(name)}$', said, re.M))
            self.assertTrue(packages & (installed | {'libc6'}), f'{name} is in {packages}')

    def test_manifests(self):
        """Ports and paths are those of the settings; rights are as few as can be."""
        ouzel = self.ouzel(self.upstream())
        size = octets(yaml.safe_load(self.settings()[1])['cache']['size'])
        for name, pod in self.pods():
            with self.subTest(name=name):
                about, = pod['containers']
                ports = {port['name']: (port['containerPort'], port['protocol'])
                         for port in about['ports']}
                self.assertEqual(ports, {'dns': (53, 'UDP'), 'dns-tcp': (53, 'TCP'),
                                         'stats': (9053, 'TCP')})
                for probe, path in (('readinessProbe', '/readyz'), ('livenessProbe', '/healthz')):
                    self.assertEqual(about[probe]['httpGet'], {'path': path, 'port': 'stats'})
                    self.assertTrue(eventually(lambda path=path: ouzel.http(path)[0] == 200))
                self.assertGreaterEqual(octets(about['resources']['limits']['memory']),
                                        size + (64 << 20))
                stop = about['lifecycle']['preStop']['exec']['command']
                self.assertIn('ouzel ctl drain', stop[2])
                rights = about['securityContext']
                self.assertTrue(rights['readOnlyRootFilesystem'])
                self.assertFalse(rights['allowPrivilegeEscalation'])
                self.assertEqual(rights['capabilities'],
                                 {'drop': ['ALL'], 'add': ['NET_BIND_SERVICE']})
                self.assertTrue(pod['securityContext']['runAsNonRoot'])
                self.assertEqual(pod['securityContext']['runAsUser'], container.USER)
                self.assertEqual(pod['securityContext']['seccompProfile'],
                                 {'type': 'RuntimeDefault'})
                mounts = {mount['mountPath']: mount['name'] for mount in about['volumeMounts']}
                self.assertEqual(set(mounts), {'/etc/ouzel', '/run/ouzel'})
                self.assertEqual(set(mounts.values()), {row['name'] for row in pod['volumes']})
        service = yaml.safe_load(read('kubernetes', 'service.yaml'))['spec']
        self.assertEqual({(row['port'], row['targetPort'], row['protocol'])
                          for row in service['ports']},
                         {(53, 'dns', 'UDP'), (53, 'dns-tcp', 'TCP'), (9053, 'stats', 'TCP')})

    def test_compose(self):
        service = yaml.safe_load(read('container', 'compose.yaml'))['services']['ouzel']
        build = service['build']
        self.assertTrue(os.path.exists(os.path.join(
            PACKAGING, 'container', build['context'], build['dockerfile'])))
        self.assertEqual({port.rsplit(':', 1)[1] for port in service['ports']},
                         {'53/udp', '53/tcp', '9053/tcp'})
        self.assertTrue(service['read_only'])
        self.assertEqual(service['tmpfs'], ['/run/ouzel:mode=1777'])
        self.assertIn(service['healthcheck']['test'][3],
                      subprocess.run([harness.BINARY, 'help', 'ctl'], capture_output=True,
                                     text=True, check=True).stdout)

    def test_allow_io_uring(self):
        profile = {'defaultAction': 'SCMP_ACT_ERRNO', 'archMap': [1], 'syscalls': [
            {'names': ['read', 'io_uring_setup'], 'action': 'SCMP_ACT_ALLOW', 'args': []},
            {'names': CALLS, 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 1}]}
        expected = {**profile, 'syscalls': [
            {'names': ['read'], 'action': 'SCMP_ACT_ALLOW', 'args': []},
            {'names': CALLS, 'action': 'SCMP_ACT_ALLOW'}]}
        done = allow_io_uring(json.dumps(profile))
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(json.loads(done.stdout), expected)
        self.assertEqual(allow_io_uring(done.stdout).stdout, done.stdout, 'twice is as once')
        for text in ('', '[]', '{"syscalls": [{}]}'):
            done = allow_io_uring(text)
            self.assertEqual((done.returncode, done.stdout), (1, ''), text)
            self.assertIn('not a seccomp profile', done.stderr)
        self.assertEqual(allow_io_uring('', '--nonsense').returncode, 2)


class Runc(Case):
    """ouzel as process 1, with the rights and the settings of the image."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root can run a container here')
        if not shutil.which('runc', path='/usr/sbin:/usr/bin:/sbin:/bin'):
            self.skipTest('runc is not installed')
        if os.uname().machine not in container.ARCHITECTURES:
            self.skipTest('the seccomp profile is not translated for this architecture')
        try:
            self.network = container.Network()
        except container.Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.network.end)
        why = container.why_none(self.directory, self.network)
        if why:
            self.skipTest(why)
        address, port = container.UPSTREAM
        self.fake = self.network.inside(self.upstream, address=address, port=port)

    def start(self, **options):
        words = [container.PROGRAM, 'serve', '--config', '/etc/ouzel/ouzel.yaml',
                 '--upstream', harness.join(*container.UPSTREAM)]
        bundle = container.Bundle(self.directory, self.network, words, **options)
        self.addCleanup(bundle.remove)
        return self.keep(container.Container(bundle, self.network))

    def ask(self, name):
        self.assert_status(self.network.inside(ask, container.SERVER, name), 'NOERROR')

    def assert_serves(self, ouzel, engine):
        self.assertEqual(ouzel.total('ouzel_engine_info', engine=engine), 1)
        for number in range(20):
            self.ask(f'n{number}.example')
            self.ask(f'n{number}.example')
        address, port = container.SERVER
        self.assert_status(self.network.inside(
            dns.query.tcp, harness.query('over-tcp.example'), address, timeout=5, port=port),
            'NOERROR')
        status, kind, page = ouzel.http('/')
        self.assertEqual((status, kind.split(';')[0]), (200, 'text/html'))
        self.assertIn('ouzel', page)
        self.assertEqual(ouzel.http('/readyz')[0], 200)
        self.assert_balance(ouzel)

    def stop(self, ouzel, seconds=5.0):
        self.assertEqual(ouzel.terminate(seconds), 0, ouzel.output())

    def test_default_profile(self):
        ouzel = self.start()
        self.assert_serves(ouzel, 'epoll')
        self.assertEqual(ouzel.output().count('epoll takes the place of io_uring'), 1,
                         ouzel.output())
        with open(f'/proc/{ouzel.bundle.process_1()}/status', encoding='ascii') as file:
            status = dict(line.rstrip('\n').split(':\t', 1) for line in file)
        user = str(container.USER)
        self.assertEqual(status['Uid'].split(), [user] * 4)
        self.assertEqual(status['NSpid'].split()[-1], '1')
        self.assertEqual(int(status['CapEff'], 16), 0)
        self.assertEqual(status['NoNewPrivs'], '1')
        self.assertIn('Read-only', ouzel.bundle.execute('touch', '/etc/ouzel/x').stdout)
        self.stop(ouzel)

    def test_profile_with_io_uring(self):
        done = allow_io_uring(json.dumps(container.default_profile()))
        ouzel = self.start(profile=json.loads(done.stdout))
        self.assert_serves(ouzel, 'io_uring')
        self.assertNotIn('takes the place', ouzel.output())
        self.stop(ouzel)

    def test_signals_and_orders(self):
        ouzel = self.start()
        with open(ouzel.settings_path, encoding='utf-8') as file:
            settings = file.read()
        said = self.reload(ouzel, settings + 'local:\n  records: ["a.example. A 192.0.2.9"]\n')
        self.assertIn('local.records', said)
        reply = self.network.inside(ask, container.SERVER, 'a.example')
        self.assertEqual(harness.rdata_texts(reply), ['192.0.2.9'])
        done = ouzel.bundle.execute(container.PROGRAM, 'ctl', 'upgrade')
        self.assertEqual(done.returncode, 1)
        self.assertIn('this is process 1 of its container', done.stdout)
        self.ask('b.example')
        done = ouzel.bundle.execute(container.PROGRAM, 'ctl', 'drain')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(ouzel.http('/readyz')[0], 503)
        self.assertEqual(ouzel.wait(20), 0, ouzel.output())

    def test_sigint(self):
        ouzel = self.start()
        ouzel.child.send_signal(signal.SIGINT)
        self.assertEqual(ouzel.wait(5), 0, ouzel.output())

    def test_no_zombies(self):
        """What is left by those who come in (kubectl exec) becomes a child of process 1."""
        ouzel = self.start()

        def children():
            return subprocess.run(['ps', '--no-headers', '-o', 'stat,comm', '--ppid',
                                   str(ouzel.bundle.process_1())], capture_output=True, text=True,
                                  check=False).stdout
        done = ouzel.bundle.execute('sh', '-c', 'sleep 1 </dev/null >/dev/null 2>&1 &')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('sleep', eventually(children))
        self.assertTrue(eventually(lambda: not children()), children())
        self.ask('a.example')
        self.stop(ouzel)

    def test_limits_of_the_control_group(self):
        """Half a CPU is one worker, and the cache of the image does not fit into 300 MB."""
        if len(os.sched_getaffinity(0)) == 1:
            self.skipTest('there is one CPU')
        resources = {'memory': {'limit': 300 << 20}, 'cpu': {'quota': 50000, 'period': 100000}}
        why = container.why_none(self.directory, self.network, resources)
        if why:
            self.skipTest(why)
        ouzel = self.start()
        self.stop(ouzel)
        if re.search(r'workers=1\b|may outgrow', ouzel.output()):
            self.skipTest('the limits of this machine are as low')
        ouzel = self.start(resources=resources)
        self.assertRegex(ouzel.output(), r'workers=1\b')
        self.assertIn('may outgrow the memory of the control group', ouzel.output())
        self.ask('a.example')
        self.stop(ouzel)
