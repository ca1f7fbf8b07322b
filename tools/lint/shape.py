"""The shape of files (STYLE.md): lengths, nesting, names, how headers open, what comments hold."""

import ast
import os
import re

LINE_MAX = 100
FUNCTION_MAX = 70
FILE_MAX = 1000
NESTING_MAX = 3
OPENING_MIN, OPENING_MAX = 2, 15

_TEXT = (".h", ".cc", ".proto", ".py", ".sh")
_BAD_SUFFIX = r"(?:Manager|Helpers?|Utils?|Impl|Data|Info)"
_BAD_TYPE = re.compile(
    rf"\b(?:class|struct|union|enum(?:\s+class)?|concept)\s+(?:\[\[\w+\]\]\s*)?(\w*{_BAD_SUFFIX})\b"
    rf"|\busing\s+(\w*{_BAD_SUFFIX})\s*=")
_BAD_FILE = re.compile(r"(?:^|_)(?:manager|helpers?|utils?|impl|data|info)$")
_LEFTOVER = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
_BANNER = re.compile(r"//\s*[-=*#/~]{4,}[^|+]*$")  # drawings have | and +
_HOME = re.compile(r"(?<![\w.:-])/(?:home/[a-z]\w*/|Users/\w+/|root/)")


def check_lengths(source):
    path = source.path
    if not path.endswith(_TEXT) and not _is_script(source):
        return
    count = len(source.lines) - (source.text.endswith("\n"))
    if count > FILE_MAX:
        yield FILE_MAX, f"{count} lines", f"a file has at most {FILE_MAX}: split by class"
    for number, line in enumerate(source.lines, 1):
        if len(line) > LINE_MAX:
            yield number, f"{len(line)} characters", f"a line has at most {LINE_MAX}"
    for name, first, length in _functions(source):
        if length > FUNCTION_MAX:
            yield first, f"{name} has {length} lines", \
                f"a function has at most {FUNCTION_MAX}: keep the branches, move the rest out"


def _is_script(source):
    return source.text.startswith("#!")


def _functions(source):
    if source.is_cpp:
        return [(f.name, f.first_line, f.length) for f in source.functions]
    if not source.path.endswith(".py"):
        return []
    try:
        nodes = ast.walk(ast.parse(source.text))
    except SyntaxError:
        return []
    return [(n.name, n.lineno, n.end_lineno - n.lineno + 1) for n in nodes
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def check_nesting(source):
    if not source.is_cpp or source.path.startswith("tests/"):
        return
    for function in source.functions:
        if function.nesting > NESTING_MAX:
            yield function.first_line, f"{function.name} nests {function.nesting} deep", \
                f"at most {NESTING_MAX}: return early, or move the inner part out"


def check_header(source):
    """A header opens with #pragma once and a comment that says what it is."""
    if not source.path.endswith(".h"):
        return
    if source.lines[0] != "#pragma once":
        yield 1, "the first line is not #pragma once", "open every header with it"
        return
    opening = 0
    for line in source.lines[1:]:
        if not line.startswith("//"):
            break
        opening += 1
    if opening < OPENING_MIN:
        yield 2, f"an opening comment of {opening} lines", \
            "say what it is, who owns it, threading, what it promises after a failure"
    elif opening > OPENING_MAX:
        yield 2, f"an opening comment of {opening} lines", \
            f"at most {OPENING_MAX}; formats and protocols go to the folder's README"


def check_names(source):
    if not source.is_cpp:
        return
    for match in _BAD_TYPE.finditer(source.code):
        yield source.line_at(match.start()), f"type {match.group(1) or match.group(2)}", \
            "name the thing it is; no Manager, Helper, Util, Impl, Data, Info"
    stem = os.path.splitext(os.path.basename(source.path))[0]
    if _BAD_FILE.search(stem):
        yield 1, f"file {stem}", "name the file after its main class"
    if stem != stem.lower() or "-" in stem:
        yield 1, f"file {stem}", "file names are snake_case"


def check_comments(source):
    """What no file may hold: leftovers, banners, paths of one machine."""
    machine = source.machine_paths
    for number, line in enumerate(source.lines, 1):
        leftover = _LEFTOVER.search(line)
        if leftover:
            yield number, leftover.group(0), "do it now, or file an issue"
        if source.is_cpp and _BANNER.search(line):
            yield number, "a banner", "split the file instead, or say it in a sentence"
        home = _HOME.search(line) if "://" not in line else None
        if home or any(path in line for path in machine):
            yield number, "a path of one machine", "make it relative to the tree"


def check_doctest(source):
    """tests/doctest.h replaces the product's CHECK, so it comes after everything that uses that."""
    if not source.is_cpp or not source.path.startswith("tests/"):
        return
    if source.path in ("tests/doctest.h", "tests/main.cc"):
        return
    for i, include in enumerate(source.includes):
        if include.path == "doctest/doctest.h":
            yield include.line, "<doctest/doctest.h>", 'include "tests/doctest.h" instead'
        if include.path == "tests/doctest.h" and i + 1 < len(source.includes):
            yield include.line, f'"tests/doctest.h" before {source.includes[i + 1].path}', \
                "include it last: it takes over CHECK"


def check_readmes(sources):
    """(path, found, advice): each folder of core, and nodes, sim and net, has a README.md.

    Each opens with its title: what a formatter of code has been over does not.
    """
    paths = {s.path for s in sources}
    for source in sources:
        if source.path.endswith("README.md") and not source.text.startswith("# "):
            yield source.path, f"it opens with \"{source.text[:20].splitlines()[0]}\"", \
                'open with "# " and a title; never run clang-format on it'
    needed = set()
    for source in sources:
        parts = source.path.split("/")
        if source.is_cpp and parts[0] in ("nodes", "sim", "net"):
            needed.add(parts[0])
        if len(parts) > 2 and parts[0] == "core":
            needed.add("/".join(parts[:2]))
    for folder in sorted(needed):
        if f"{folder}/README.md" not in paths:
            yield f"{folder}/README.md", "no README.md in a folder with code", \
                "say what lives here, the contract, where to start reading"
