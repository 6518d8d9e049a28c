# SPDX-License-Identifier: MIT
"""NSD on loopback: the upstream of what is measured without network namespaces."""

import os
import subprocess

from bench.lab.cables import Trouble, nsd_config
from bench.lab.peers import harness
from bench.load.zipf import ZONE


def nsd_start(directory):
    """NSD with a zone in which every name exists; returns its process, address and port."""
    address, port = '127.0.0.1', harness.free_port()
    config = nsd_config(directory, address, port)
    with open(os.path.join(directory, 'nsd.log'), 'wb') as log:
        child = subprocess.Popen(['nsd', '-d', '-c', config], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
    if not harness.eventually(lambda: child.poll() is not None or harness.ask_raw(
            (address, port), harness.plain_query(f'x.{ZONE}'), 0.2), 10) or \
            child.poll() is not None:
        raise Trouble('NSD does not start')
    return child, address, port
