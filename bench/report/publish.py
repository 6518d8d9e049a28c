# SPDX-License-Identifier: MIT
"""The page of all benchmarks. The data of each table (only medians and spread) are stored next to
it, so that a part that is measured again replaces its own tables and no others."""

import importlib
import json
import os

from bench.lab.cables import BUILD, ROOT, results_path

DOCS = os.path.join(ROOT, 'docs')
PAGE = os.path.join(DOCS, 'benchmarks.md')
DRAWINGS = os.path.join(DOCS, 'benchmarks')
DATA = os.path.join(DRAWINGS, 'data')
# In the order of the page; each is a module.
PARTS = ('hits', 'floor', 'goodput', 'latency', 'scale', 'misses', 'memory', 'micro',
         'instructions', 'syscalls')

HEAD = '''# Benchmarks

Made by `scripts/bench --publish`; `scripts/bench help` shows how to measure a single part, and
`bench/lab/peers.py` how each server is configured. Everything runs on one shared machine, so
compare a figure with the others of its table, which had the same load in the same run. Each table
says when it was measured. Its data are in `docs/benchmarks/data`. Pages of their own:
[io_uring beside epoll](benchmarks/engines.md), [answers in the driver](benchmarks/xdp.md).
'''


def read(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def merge(old, new):
    """Tables by name: newly measured ones replace the old ones, unless these are newer."""
    fresh = {name: table for name, table in new.items()
             if table['date'] >= old.get(name, {}).get('date', '')}
    return {**old, **fresh}


def dated(data):
    """When and how a table was measured."""
    words = [data['date'], f'Linux {data["kernel"]}', data['machine']]
    if 'rounds' in data:
        length = f' of {data["seconds"]} s' if 'seconds' in data else ''
        words.append(f'{data["rounds"]} rounds{length}')
    return ', '.join(words)


def section(name, tables):
    """A part's section. Where it says @TABLE it means when and how that was measured."""
    module = importlib.import_module(f'bench.parts.{name}')
    text = module.section(tables)
    for which, data in tables.items():
        for end in ',.':
            text = text.replace(f'@{which}{end}', dated(data) + end)
    return f'## {module.TITLE}\n\n{text}'


def page(published):
    """The whole page from all tables, by part and name."""
    return '\n'.join([HEAD] + [section(name, published[name]) for name in PARTS
                               if published.get(name)])


def plots(name, tables, directory):
    """Draws a part's tables; returns the names of the files."""
    module = importlib.import_module(f'bench.parts.{name}')
    os.makedirs(directory, exist_ok=True)
    made = []
    for stem, drawing in module.plots(tables) if hasattr(module, 'plots') else ():
        made.append(f'{stem}.svg')
        with open(os.path.join(directory, made[-1]), 'w', encoding='utf-8') as file:
            file.write(drawing)
    return made


def measured(name):
    """The tables of a part's last run; none where it has not run."""
    return read(results_path(name)).get('tables', {})


def draw(name):
    """The drawings of a part's last run."""
    for file in plots(name, measured(name), os.path.join(BUILD, 'bench')):
        print(f'written: build/bench/{file}')


def publish(names=PARTS):
    """Takes what these parts have measured into the page."""
    os.makedirs(DATA, exist_ok=True)
    published = {}
    for name in PARTS:
        path = os.path.join(DATA, f'{name}.json')
        published[name] = read(path)
        if name in names and measured(name):
            published[name] = merge(published[name], measured(name))
            with open(path, 'w', encoding='utf-8') as file:
                json.dump(published[name], file, indent=1)
                file.write('\n')
        if published[name]:
            plots(name, published[name], DRAWINGS)
    with open(PAGE, 'w', encoding='utf-8') as file:
        file.write(page(published))
    print(f'written: {os.path.relpath(PAGE, ROOT)}')


def measure(_):
    publish()
