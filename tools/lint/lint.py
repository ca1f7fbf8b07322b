#!/usr/bin/env python3
"""The lint: reads the tree and reports what breaks DESIGN and STYLE, as file:line, what was found
and what to do. Runs as the test `lint`; by hand: tools/lint/lint.py [ROOT]. README.md beside this
file lists the rules; allowed.txt holds the exceptions, each with its reason."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import determinism
import layers
import shape
from source import CPP, Source

Finding = namedtuple("Finding", "path line rule found advice")

_READ = CPP + (".proto", ".py", ".sh", ".cmake", ".txt", ".md", ".json", ".yml", ".html", ".js")
_BYTES_MAX = 2 << 20  # longer files are data, not source

# Each yields (line, found, advice) for one source.
_SHAPE_RULES = [
    ("length", shape.check_lengths),
    ("nesting", shape.check_nesting),
    ("header", shape.check_header),
    ("name", shape.check_names),
    ("leftover", shape.check_comments),
    ("doctest last", shape.check_doctest),
    ("coroutine", determinism.check_coroutines),
    ("proto map", determinism.check_proto),
]


def read_tree(root):
    """All sources of the tree in the order of their paths; build trees and dot folders left out."""
    own = os.path.abspath(root)
    machine_paths = (own + "/",) if own.count("/") > 1 else ()
    sources = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f != "build" and f != "__pycache__" and
                            (f == ".ci" or not f.startswith(".")))
        for name in sorted(files):
            source = _read(root, os.path.join(folder, name))
            if source:
                source.machine_paths = machine_paths
                sources.append(source)
    return sources


def _read(root, path):
    with open(path, "rb") as file:
        if os.path.splitext(path)[1] not in _READ and file.read(2) != b"#!":
            return None
        file.seek(0)
        content = file.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        return None
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    return Source(relative, content.decode("utf-8", "replace"))


def check(sources, cmake):
    """All findings in the sources, given the text of the top CMakeLists.txt."""
    table = layers.Table(cmake)
    for line, found, advice in layers.check_table(table):
        yield Finding("CMakeLists.txt", line, "layer", found, advice)
    for source in sources:
        for line, found, advice in layers.check_includes(source, table):
            yield Finding(source.path, line, "layer", found, advice)
        for rule, line, found, advice in determinism.check_words(source):
            yield Finding(source.path, line, rule, found, advice)
        for rule, function in _SHAPE_RULES:
            for line, found, advice in function(source):
                yield Finding(source.path, line, rule, found, advice)
    for path, found, advice in shape.check_readmes(sources):
        yield Finding(path, 1, "readme", found, advice)


def apply_allowed(findings, text, path):
    """Drops the findings that an entry of allowed.txt covers; adds one per useless entry."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in line.split("|")]
            entries.append((number, parts))
    used = set()
    for finding in findings:
        cover = [n for n, parts in entries if len(parts) == 4 and parts[3] and
                 parts[0] == finding.rule and finding.path.startswith(parts[1]) and
                 parts[2] in finding.found]
        used.update(cover)
        if not cover:
            yield finding
    for number, parts in entries:
        if number not in used:
            yield Finding(path, number, "allowed", " | ".join(parts),
                          "covers nothing (rule | path | found | reason): delete it")


def check_format(root, sources, program):
    """One finding per file that clang-format would change."""
    paths = [s.path for s in sources if s.is_cpp]

    def run(part):
        command = [program, "--dry-run", *part]
        return subprocess.run(command, cwd=root, capture_output=True, text=True).stderr

    jobs = max(1, os.cpu_count() or 1)
    parts = [paths[i::jobs] for i in range(jobs) if paths[i::jobs]]
    seen = set()
    with ThreadPoolExecutor(jobs) as pool:
        for line in "\n".join(pool.map(run, parts)).splitlines():
            path, _, rest = line.partition(":")
            if "clang-format-violations" in rest and path not in seen:
                seen.add(path)
                yield Finding(path, int(rest.split(":")[0]), "format", "not as clang-format has it",
                              f"{program} -i {path}")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    sources = read_tree(root)
    with open(os.path.join(root, "CMakeLists.txt"), encoding="utf-8") as file:
        findings = list(check(sources, file.read()))
    allowed = "tools/lint/allowed.txt"
    with open(os.path.join(os.path.dirname(__file__), "allowed.txt"), encoding="utf-8") as file:
        findings = list(apply_allowed(findings, file.read(), allowed))
    program = "clang-format-19"
    if shutil.which(program):
        findings += check_format(root, sources, program)
    else:
        print(f"lint: {program} is not installed; formatting was not checked")
    for f in sorted(findings):
        print(f"{f.path}:{f.line}: [{f.rule}] {f.found}: {f.advice}")
    print(f"lint: {len(sources)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
