# SPDX-License-Identifier: MIT
"""A machine to change as one likes: the files of this one with an overlay on top, in a mount
namespace of its own, and a network with nothing but loopback, where every port is free. What is
done there is done nowhere else, and is gone when the test ends. Needs root and overlay file
systems. Processes are among those of this machine, so the caller ends those that it starts.
"""

import concurrent.futures
import ctypes
import os
import subprocess

import harness

TREE = '/mnt'  # where our tree is to be read
CLONE_NEWNET = 0x40000000

# What may be a file system of its own, which an overlay over / does not see, and holds what a
# package brings or changes.
PARTS = ('/etc', '/lib', '/opt', '/usr', '/usr/share', '/var', '/var/cache', '/var/lib', '/var/log')

# $1: a directory; $2: our tree; $3...: what gets an overlay, / first. Says `ready` and stays until
# its input ends.
BEGIN = r'''
set -e
top=$1 tree=$2 number=0
shift 2
mount -t tmpfs -o mode=755 none "$top"
mkdir "$top/root"
for place in "$@"; do
    own=$top/$number
    mkdir -p "$own/upper" "$own/work"
    dirs=lowerdir=$place,upperdir=$own/upper,workdir=$own/work
    mount -t overlay -o "$dirs" none "$top/root$place"
    number=$((number + 1))
done
mount --rbind /dev "$top/root/dev"
mount --bind /proc "$top/root/proc"
for place in /run /tmp; do
    mount -t tmpfs none "$top/root$place"
done
mount --bind "$tree" "$top/root/mnt"
mount -o remount,bind,ro "$top/root/mnt"
rm -f "$top/root/etc/resolv.conf"
ip link set lo up
echo ready
exec cat
'''


class Unavailable(Exception):
    """There can be no such machine here; says why."""


def inside_network(pid, function, *arguments, **options):
    """Calls a function of ours with the network of this process: sockets that it opens are there,
    later users of them."""
    def there():
        with open(f'/proc/{pid}/ns/net', 'rb') as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), 'setns')
        return function(*arguments, **options)
    # The thread ends with this call: no other ever has that network.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(there).result()


class Machine:
    """`directory` is an empty one of the test's."""

    def __init__(self, directory):
        if os.geteuid() != 0:
            raise Unavailable('only root can make a machine to install on')
        self.directory = directory
        self.places = ['/'] + [part for part in PARTS if os.path.ismount(part)]
        self.environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8',
                            'DEBIAN_FRONTEND': 'noninteractive'}
        self.child = subprocess.Popen(
            ['unshare', '--mount', '--net', 'sh', '-c', BEGIN, 'sh', directory, harness.ROOT,
             *self.places],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.top = f'/proc/{self.child.pid}/root{directory}'  # its mounts are seen from there alone
        if self.child.stdout.readline() != 'ready\n':
            why = self.child.stderr.read().strip() or 'no reason was given'
            self.end()
            raise Unavailable(f'no machine to install on can be made here: {why}')

    def end(self):
        """Its files are gone when the last process ends that was started in it."""
        self.child.communicate(timeout=10)

    def path(self, path):
        """Where a file of the machine is to be found from here."""
        return f'{self.top}/root{path}'

    def command(self, *words):
        """What runs these words there; the process started is that of the words."""
        return ['nsenter', '--target', str(self.child.pid), '--mount', '--net',
                'chroot', f'{self.directory}/root', *words]

    def run(self, *words, check=True, **options):
        """Runs a command there and returns what has come of it, its output as one text."""
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, env=self.environment,
                              timeout=60 * harness.PATIENCE, **options)
        if check and done.returncode != 0:
            raise AssertionError(f'{words} ended with {done.returncode} and said:\n{done.stdout}')
        return done

    def inside(self, function, *arguments, **options):
        """Calls a function of ours with the machine's network."""
        return inside_network(self.child.pid, function, *arguments, **options)

    def changes(self):
        """The files that were made, changed or removed there, and directories that were made."""
        found = []
        for number, place in enumerate(self.places):
            top = f'{self.top}/{number}/upper'
            for directory, below, names in os.walk(top):
                for name in below + names:
                    path = os.path.join(place, os.path.relpath(directory, top), name)
                    full = os.path.join(directory, name)
                    if name in names or os.path.islink(full) or not os.path.isdir(path):
                        found.append(os.path.normpath(path))
        return sorted(found)
