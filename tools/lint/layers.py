"""Layer direction. The table of libraries in the top CMakeLists.txt is the rule: a file may include
from its own library and from what that library reaches through LINK, and from nowhere else."""

import re

# What a third-party header needs on the LINK line (any one of the names).
_THIRD_PARTY = [
    (re.compile(r"boost/(asio|beast)"), ("asio",)),
    (re.compile(r"google/protobuf/"), ("proto", "protobuf::libprotobuf-lite")),
    (re.compile(r"nlohmann/"), ("nlohmann_json::nlohmann_json",)),
    (re.compile(r"CLI/"), ("CLI11::CLI11",)),
    (re.compile(r"spdlog/"), ("spdlog::spdlog",)),
    (re.compile(r"isa-l"), ("PkgConfig::isal",)),
    (re.compile(r"(doctest|rapidcheck)"), ("rapidcheck",)),
]
_PURE = ("base", "raft", "namespace", "placement", "ec", "repair")
# Who must never reach whom, however the table is edited.
_APART = [
    ("core/", ("nodes", "sim", "net", "tools")),
    ("nodes", ("sim", "net", "tools")),
    ("sim/", ("net", "tools")),
    ("net", ("sim", "tools")),
]
_OWNED = ("core/", "nodes/", "sim/", "net/", "tools/", "tests/")
_HEAVY = re.compile(r"nlohmann/json\.hpp|google/protobuf/|boost/beast|\.pb\.h$")
_CODEC = re.compile(r"^core/proto/|codec\w*\.h$")


def _under(folder, top):
    return folder == top.rstrip("/") or folder.startswith(top.rstrip("/") + "/")


class Table:
    """The rows of CMakeLists.txt: name -> (kind, folder, links, line)."""

    def __init__(self, text):
        self.rows = {}
        pattern = r"^dogfs_(library|protocol|program|test)\(\s*(\w+)\s+([\w/]+)\s+LINK\s+([^)]*)\)"
        for match in re.finditer(pattern, text, re.M):
            kind, name, folder, links = match.groups()
            links = links.split()
            if kind == "protocol":
                links.append("protobuf::libprotobuf-lite")
            if kind == "test":
                links.append("rapidcheck")
            line = text.count("\n", 0, match.start()) + 1
            self.rows[name] = (kind, folder, links, line)
        self._reach = {}

    def owner(self, path):
        """The row whose folder holds the path; the deepest such."""
        best = None
        for name, (_, folder, _, _) in self.rows.items():
            if _under(path.rpartition("/")[0], folder):
                if best is None or len(folder) > len(self.rows[best][1]):
                    best = name
        return best

    def reach(self, name):
        """All names reached through LINK, the row itself among them."""
        if name not in self._reach:
            self._reach[name] = {name}  # ends a cycle; check() reports it
            links = self.rows[name][2] if name in self.rows else []
            reached = {name}.union(*(self.reach(link) for link in links))
            self._reach[name] = reached
        return self._reach[name]

    def is_pure(self, name):
        """It cannot wait: a core library that does not see Asio."""
        return _under(self.rows[name][1], "core") and "asio" not in self.reach(name)


def check_table(table):
    """(line, found, advice) for each row that breaks the architecture itself."""
    for name, (_, folder, links, line) in table.rows.items():
        reached = table.reach(name)
        for link in links:
            if link in table.rows and name in table.reach(link):
                yield line, f"{name} and {link} link each other", "break the cycle"
        if name in _PURE and reached & {"asio", "proto", "protobuf::libprotobuf-lite"}:
            yield line, f"{name} is pure but reaches Asio or protobuf", "keep pure folders pure"
        if folder.startswith("tests/"):
            continue
        for top, forbidden in _APART:
            for other in sorted(reached & set(table.rows)):
                target = table.rows[other][1]
                if _under(folder, top) and any(_under(target, f) for f in forbidden):
                    yield line, f"{name} ({folder}) reaches {other} ({target})", \
                        f"{folder} must never depend on {target}; turn the dependency round"


def check_includes(source, table):
    """(line, found, advice) for each include the table does not allow."""
    if not source.is_cpp or not source.path.startswith(_OWNED):
        return
    name = table.owner(source.path)
    if name is None:
        if source.folder != "tests":
            yield 1, "a file that no library of CMakeLists.txt holds", "add its folder to the table"
        return
    for include in source.includes:
        finding = _project(include, source, table, name) if not include.system else \
            _third_party(include, table, name)
        if finding:
            yield (include.line, *finding)
    if source.path.startswith("core/") and table.is_pure(name):
        yield from _waiting(source, name)
    yield from _own_header_first(source)
    yield from _light_headers(source)


def _project(include, source, table, name):
    path = include.path
    if path.startswith("tests/"):
        if source.path.startswith("tests/") and table.owner(path) in (None, name):
            return None
        return f'"{path}"', "only tests of the same folder include it"
    owner = table.owner(path)
    if owner is None:
        return f'"{path}"', "include project headers from the root, as in core/base/error.h; " \
            "third-party headers take < >"
    if owner in table.reach(name):
        return None
    return f'"{path}" (library {owner}) from library {name}', \
        f"{name} does not LINK {owner}: move the code, or pass what is needed in from above"


def _third_party(include, table, name):
    for pattern, needed in _THIRD_PARTY:
        if pattern.match(include.path) and not table.reach(name) & set(needed):
            return f"<{include.path}> in library {name}", \
                f"{name} does not LINK {needed[0]}: keep this header out of the layer"
    return None


def _waiting(source, name):
    for include in source.includes:
        if include.path == "coroutine":
            yield include.line, "<coroutine>", f"{name} decides and never waits"
    for match in re.finditer(r"\bco_(?:await|return|yield)\b", source.statements):
        yield source.line_at(match.start()), match.group(0), \
            f"{name} is pure: take inputs, return outputs; waiting belongs to nodes"


def _own_header_first(source):
    if not source.path.endswith(".cc") or not source.includes:
        return
    own = source.path[: -len(".cc")] + ".h"
    if any(i.path == own for i in source.includes) and source.includes[0].path != own:
        yield source.includes[0].line, f'an include before "{own}"', "include the own header first"


def _light_headers(source):
    if not source.path.endswith(".h") or source.path.startswith("tests/"):
        return
    for include in source.includes:
        if _HEAVY.search(include.path) and not _CODEC.search(source.path):
            yield include.line, f"{include.path} in a header", \
                "protobuf, JSON and Beast stay in .cc files and codecs: forward-declare"
