# SPDX-License-Identifier: MIT
"""A container of runc with ouzel as its process 1: the settings of the container image, this
machine's /usr read-only in place of the image's files, the seccomp profile that Podman ships, and a
network with nothing but loopback. Needs root, runc, and a kernel that lets runc work."""

import itertools
import json
import os
import shutil
import subprocess

import harness
from machine import inside_network

IMAGE_SETTINGS = os.path.join(harness.ROOT, 'packaging', 'container', 'ouzel.yaml')
PROFILE = '/usr/share/containers/seccomp.json'
USER = 5353
PROGRAM = '/opt/ouzel'
SERVER = ('127.0.0.1', 53)
UPSTREAM = ('127.0.0.2', 5300)
ARCHITECTURES = {'x86_64': ('amd64', 'SCMP_ARCH_X86_64'), 'aarch64': ('arm64', 'SCMP_ARCH_AARCH64')}

_numbers = itertools.count()


class Unavailable(Exception):
    """There can be no containers here; says why."""


def default_profile():
    """Podman's where it is installed, else one that forbids just what matters here."""
    if os.path.exists(PROFILE):
        with open(PROFILE, encoding='utf-8') as file:
            return json.load(file)
    calls = ['io_uring_setup', 'io_uring_enter', 'io_uring_register']
    return {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [
        {'names': calls, 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 1}]}


def runc_filter(profile):
    """The profile as runc takes it, for this architecture and a process without capabilities: what
    a container engine does with its profile."""
    short, name = ARCHITECTURES[os.uname().machine]
    rules = []
    for rule in profile['syscalls']:
        includes, excludes = rule.get('includes') or {}, rule.get('excludes') or {}
        if includes.get('caps') or short not in (includes.get('arches') or [short]) or \
                short in (excludes.get('arches') or []):
            continue
        rules.append({key: rule[key] for key in ('names', 'action', 'errnoRet', 'args')
                      if rule.get(key) is not None})
    new = {'architectures': [name], 'syscalls': rules}
    return {**new, **{key: profile[key] for key in ('defaultAction', 'defaultErrnoRet')
                      if key in profile}}


class Network:
    """Of a process that the caller ends."""

    def __init__(self):
        self.child = subprocess.Popen(
            ['unshare', '--net', 'sh', '-c', 'ip link set lo up && echo ready && exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != 'ready\n':
            raise Unavailable(f'no network of its own: {self.child.communicate()[1].strip()}')

    def end(self):
        self.child.communicate(timeout=10)

    def inside(self, function, *arguments, **options):
        return inside_network(self.child.pid, function, *arguments, **options)


def root_make(root):
    """What an image has, but for /usr."""
    for place in ('dev', 'etc/ouzel', 'opt', 'proc', 'run/ouzel', 'sys/fs/cgroup', 'tmp', 'usr'):
        os.makedirs(os.path.join(root, place))
    os.chmod(os.path.join(root, 'run/ouzel'), 0o1777)
    for place in ('bin', 'lib', 'lib64', 'sbin'):
        if os.path.islink('/' + place):
            os.symlink(os.readlink('/' + place), os.path.join(root, place))
    with open(os.path.join(root, 'etc/passwd'), 'w', encoding='ascii') as file:
        file.write(f'ouzel:x:{USER}:{USER}::/:/usr/sbin/nologin\n')
    shutil.copy(IMAGE_SETTINGS, os.path.join(root, 'etc/ouzel/ouzel.yaml'))
    program = root + PROGRAM
    shutil.copyfile(harness.BINARY, program)
    os.chmod(program, 0o755)


def configuration(network, words, profile, resources):
    """The config.json of runc."""
    none = ['nosuid', 'nodev', 'noexec']
    rights = {kind: [] for kind in ('effective', 'permitted', 'inheritable', 'ambient')}
    return {
        'ociVersion': '1.0.2', 'root': {'path': 'root', 'readonly': True},
        'process': {
            'user': {'uid': USER, 'gid': USER}, 'args': words, 'cwd': '/',
            'env': ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], 'noNewPrivileges': True,
            'capabilities': {'bounding': ['CAP_NET_BIND_SERVICE'], **rights}},
        'mounts': [
            {'destination': '/proc', 'type': 'proc', 'source': 'proc'},
            {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['mode=755']},
            {'destination': '/run/ouzel', 'type': 'tmpfs', 'source': 'tmpfs',
             'options': none + ['mode=1777']},
            {'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',
             'options': none + ['ro']},
            {'destination': '/usr', 'type': 'bind', 'source': '/usr', 'options': ['rbind', 'ro']}],
        'linux': {
            'namespaces': [*({'type': kind} for kind in ('pid', 'mount', 'ipc', 'uts')),
                           {'type': 'network', 'path': f'/proc/{network.child.pid}/ns/net'}],
            'sysctl': {'net.ipv4.ip_unprivileged_port_start': '0'},
            'resources': resources or {}, 'seccomp': runc_filter(profile)}}


class Bundle:
    """A container's directory, and runc's commands for it."""

    def __init__(self, directory, network, words, profile=None, resources=None):
        self.name = f'ouzel-test-{os.getpid()}-{next(_numbers)}'
        self.directory = os.path.join(directory, self.name)
        self.root = os.path.join(self.directory, 'root')
        root_make(self.root)
        with open(os.path.join(self.directory, 'config.json'), 'w', encoding='ascii') as file:
            json.dump(configuration(network, words, profile or default_profile(), resources), file)

    def command(self, word, *words):
        return [harness.find_tool('runc'), '--root', os.path.join(self.directory, 'state'), word,
                *words]

    def run_command(self):
        return self.command('run', '--bundle', self.directory, self.name)

    def execute(self, *words):
        """Runs a command in the container."""
        return subprocess.run(self.command('exec', self.name, *words), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=20 * harness.PATIENCE)

    def process_1(self):
        """Its pid out here."""
        said = subprocess.run(self.command('state', self.name), capture_output=True, text=True,
                              check=True, timeout=20 * harness.PATIENCE).stdout
        return json.loads(said)['pid']

    def remove(self):
        subprocess.run(self.command('delete', '--force', self.name), capture_output=True,
                       check=False, timeout=20 * harness.PATIENCE)


def why_none(directory, network, resources=None):
    """Why runc can run no container here; '' if it can."""
    bundle = Bundle(directory, network, ['true'], resources=resources)
    done = subprocess.run(bundle.run_command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=60 * harness.PATIENCE)
    bundle.remove()
    return '' if done.returncode == 0 else f'runc can run no container here: {done.stdout.strip()}'


class Container(harness.Ouzel):
    """ouzel as the image starts it, ready. Signals reach it through runc, whose status is its."""

    def __init__(self, bundle, network):  # pylint: disable=super-init-not-called
        self.bundle = bundle
        self.network = network
        self.server = SERVER
        self.stats = ('127.0.0.1', 9053)
        self.settings_path = os.path.join(bundle.root, 'etc/ouzel/ouzel.yaml')
        harness.Process.__init__(self, bundle.run_command(),
                                 os.path.join(bundle.directory, 'log'))
        self.wait_ready()

    def http(self, path, timeout=3.0):
        return self.network.inside(super().http, path, timeout)
