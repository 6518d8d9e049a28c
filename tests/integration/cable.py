# SPDX-License-Identifier: MIT
"""A cable (a veth pair) between two network namespaces: ouzel's, and that of clients behind it."""

import array
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def can(binary):
    """Is this machine one where this program can load its XDP program?"""
    with open(binary, 'rb') as file:
        built = b'built without XDP' not in file.read()
    return built and os.geteuid() == 0 and os.path.exists('/sys/fs/bpf') and \
        subprocess.run(['unshare', '--net', 'true'], check=False).returncode == 0


def checksums_finish(interface):
    """Has the kernel finish UDP's checksums, as no hardware does behind a cable of this kind."""
    words = array.array('B', struct.pack('II', ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL,
                    struct.pack('16sP16x', interface.encode(), words.buffer_info()[0]))


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True, timeout=20)


class Namespace:
    """A network namespace that a thread can be in for a while."""

    def __init__(self):
        self.fd = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)

    @classmethod
    def new(cls):
        """Makes one and enters it."""
        call('unshare', CLONE_NEWNET)
        ip('link', 'set', 'lo', 'up')
        return cls()

    def enter(self):
        call('setns', self.fd, CLONE_NEWNET)

    def close(self):
        os.close(self.fd)


class Cable:
    """The calling thread is at ouzel's end afterwards; threads and processes that it starts then
    are there, too. The interfaces are `cable` there and `far` behind it."""

    def __init__(self):
        self.home = Namespace()
        self.behind = Namespace.new()
        self.ours = Namespace.new()
        ip('link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'far', 'netns',
           f'/proc/{os.getpid()}/fd/{self.behind.fd}')
        ip('link', 'set', 'cable', 'up')
        with self.far():
            ip('link', 'set', 'far', 'up')
            checksums_finish('far')

    @contextlib.contextmanager
    def far(self):
        """What is done meanwhile is done behind the cable, by this thread: a socket that is made
        there stays there."""
        self.behind.enter()
        try:
            yield
        finally:
            self.ours.enter()

    def end(self):
        self.home.enter()
        for namespace in (self.ours, self.behind, self.home):
            namespace.close()
