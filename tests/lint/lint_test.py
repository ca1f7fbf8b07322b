#!/usr/bin/env python3
"""Tests of the lint: each rule reports its bad snippets and leaves its good ones alone."""

import os
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tools", "lint"))

import lint  # noqa: E402
from source import Source  # noqa: E402

CMAKE = """
dogfs_library(base      core/base  LINK fmt::fmt)
dogfs_library(raft      core/raft  LINK base)
dogfs_library(env       core/env   LINK base asio)
dogfs_protocol(proto    core/proto LINK base)
dogfs_library(rpc       core/rpc   LINK env proto)
dogfs_library(nodes     nodes      LINK rpc raft proto)
dogfs_library(sim_world sim/world  LINK env)
dogfs_library(sim_run   sim/run    LINK sim_world nodes nlohmann_json::nlohmann_json)
dogfs_library(net       net        LINK env)
dogfs_program(dogfs     tools/dogfs LINK sim_run net nodes)
dogfs_test(raft_test    tests/core/raft LINK raft)
dogfs_test(rpc_test     tests/core/rpc  LINK rpc sim_world)
"""
HEADER = "#pragma once\n// A thing: what it is.\n// Its owner is the node.\n\n"


def findings(path, text, cmake=CMAKE, machine=()):
    """What the lint says of a tree with this one file (README rule aside)."""
    found = lint.check([Source(path, text, machine)], cmake)
    return [f for f in found if f.rule != "readme"]


class Table(unittest.TestCase):
    """Subclasses list (rule, path, text); a good snippet must give no finding at all."""

    bad = []
    good = []

    def test_bad_snippets_are_reported(self):
        for rule, path, text in self.bad:
            with self.subTest(path=path, text=text):
                rules = [f.rule for f in findings(path, text)]
                self.assertIn(rule, rules)

    def test_good_snippets_are_not(self):
        for path, text in self.good:
            with self.subTest(path=path, text=text):
                self.assertEqual(findings(path, text), [])


class LayerTest(Table):
    bad = [
        ("layer", "core/raft/a.cc", '#include "core/env/env.h"\n'),
        ("layer", "core/raft/a.cc", "#include <boost/asio/awaitable.hpp>\n"),
        ("layer", "core/raft/a.cc", '#include "core/proto/raft.pb.h"\n'),
        ("layer", "core/raft/a.cc", "#include <coroutine>\n"),
        ("layer", "core/raft/a.cc", "int f() { co_return 1; }\n"),
        ("layer", "core/rpc/a.cc", '#include "nodes/client/client.h"\n'),
        ("layer", "nodes/a.cc", '#include "sim/world/world.h"\n'),
        ("layer", "nodes/a.cc", '#include "net/tcp.h"\n'),
        ("layer", "sim/world/a.cc", '#include "net/tcp.h"\n'),
        ("layer", "sim/world/a.cc", '#include "nodes/node.h"\n'),
        ("layer", "net/a.cc", '#include "sim/world/world.h"\n'),
        ("layer", "nodes/a.cc", "#include <nlohmann/json.hpp>\n"),
        ("layer", "tests/core/raft/a.cc", '#include "core/env/env.h"\n'),
        ("layer", "tests/core/raft/a.cc", '#include "tests/core/rpc/b.h"\n'),
        ("layer", "core/raft/a.cc", '#include "log.h"\n'),
        ("layer", "core/raft/a.cc", '#include "core/base/error.h"\n#include "core/raft/a.h"\n'),
        ("layer", "core/raft/a.cc", '#include "core/raft/b.h"\n#include "core/raft/a.h"\n'),
        ("layer", "sim/run/a.h", HEADER + "#include <nlohmann/json.hpp>\n"),
        ("layer", "core/rpc/a.h", HEADER + '#include "core/proto/wire.pb.h"\n'),
        ("layer", "core/cache/a.cc", "int x;\n"),
    ]
    good = [
        ("core/raft/a.cc", '#include "core/raft/a.h"\n\n#include "core/base/error.h"\n'),
        ("core/raft/a.cc", '// #include "core/env/env.h"\nint x;\n'),
        ("core/raft/a.h", HEADER + "#define LEAVE(x) \\\n  co_return x\n"),
        ("core/rpc/a.cc", '#include <boost/asio.hpp>\n\n#include "core/proto/wire.pb.h"\n'),
        ("core/proto/a_codec.h", HEADER + '#include "core/proto/wire.pb.h"\n'),
        ("sim/run/a.cc", '#include <nlohmann/json.hpp>\n\n#include "nodes/node.h"\n'),
        ("tests/core/rpc/a.cc", '#include "sim/world/world.h"\n#include "tests/core/rpc/b.h"\n'),
        ("tools/dogfs/a.cc", '#include "net/tcp.h"\n#include "sim/run/run.h"\n'),
    ]

    def test_a_table_that_breaks_the_architecture_is_reported(self):
        for row in (
            "dogfs_library(wal core/wal LINK env nodes)",
            "dogfs_library(ec core/ec LINK base asio)",
            "dogfs_library(placement core/placement LINK base proto)",
            "dogfs_library(shard nodes/shard LINK sim_world)",
            "dogfs_library(tls net/tls LINK sim_world)",
            "dogfs_library(chaos sim/chaos LINK net)",
            "dogfs_library(a core/a LINK b)\ndogfs_library(b core/b LINK a)",
        ):
            with self.subTest(row=row):
                self.assertTrue(findings("core/raft/a.cc", "", CMAKE + row + "\n"))

    def test_a_row_over_several_lines_is_read(self):
        cmake = CMAKE + "dogfs_library(x core/x LINK base\n              raft)\n"
        self.assertEqual(findings("core/x/a.cc", '#include "core/raft/log.h"\n', cmake), [])


class DeterminismTest(Table):
    bad = [
        ("clock", "nodes/a.cc", "auto t = std::chrono::steady_clock::now();\n"),
        ("clock", "core/env/a.cc", "asio::steady_timer timer;\n"),
        ("clock", "sim/world/a.cc", "x = time(nullptr);\n"),
        ("clock", "core/raft/a.cc", "gettimeofday(&tv, 0);\n"),
        ("clock", "tests/core/raft/a.cc", "std::chrono::system_clock::now();\n"),
        ("sleep", "nodes/a.cc", "std::this_thread::sleep_for(1s);\n"),
        ("sleep", "tests/core/rpc/a.cc", "usleep(10);\n"),
        ("sleep", "net/a.cc", "::sleep(1);\n"),
        ("random", "core/raft/a.cc", "std::random_device device;\n"),
        ("random", "sim/run/a.cc", "int x = rand() % 6;\n"),
        ("random", "core/raft/a.cc", "std::uniform_int_distribution<int> d;\n"),
        ("random", "nodes/a.cc", 'auto f = open("/dev/urandom");\n'),
        ("thread", "nodes/a.cc", "std::mutex mutex_;\n"),
        ("thread", "sim/run/a.cc", "std::jthread worker;\n"),
        ("thread", "core/rpc/a.cc", "#include <atomic>\n"),
        ("system", "core/wal/a.cc", "#include <unistd.h>\n"),
        ("system", "sim/run/a.cc", "#include <fstream>\n"),
        ("environment", "nodes/a.cc", 'auto x = std::getenv("HOME");\n'),
        ("hash order", "core/raft/a.cc", "std::unordered_map<int, int> m;\n"),
        ("address", "core/raft/a.cc", "std::map<Node*, int> m;\n"),
        ("address", "core/raft/a.cc", "std::set<const raft::Node*> m;\n"),
        ("address", "core/raft/a.cc", "std::hash<int> h;\n"),
        ("address", "nodes/a.cc", 'fmt::format("{:p}", x);\n'),
        ("address", "nodes/a.cc", 'printf("%p", x);\n'),
        ("locale", "core/raft/a.cc", "if (std::isalpha(c)) f();\n"),
        ("locale", "nodes/a.cc", "std::ostringstream out;\n"),
        ("float", "core/raft/a.cc", "double ratio = x;\n"),
        ("float", "nodes/a.cc", "auto y = static_cast<float>(x);\n"),
        ("world", "nodes/a.cc", "if (env.is_simulated()) f();\n"),
        ("world", "core/rpc/a.cc", "if (isSimulated()) f();\n"),
        ("raw waiting", "nodes/a.cc", "asio::co_spawn(executor, f(), handler);\n"),
        ("raw waiting", "core/rpc/a.cc", "using namespace asio::awaitable_operators;\n"),
        ("raw waiting", "nodes/a.cc", "asio::cancellation_signal signal_;\n"),
        ("exception", "core/raft/a.cc", "throw 1;\n"),
        ("assert", "nodes/a.cc", "assert(x > 0);\n"),
    ]
    good = [
        ("core/raft/a.cc", "// steady_clock, std::mutex and rand() are for the real world\n"),
        ("core/raft/a.cc", 'log("a thread took a double time(s) of rand()");\n'),
        ("core/raft/a.cc", "std::map<NodeId, Node*> nodes;\nstd::set<std::string> names;\n"),
        ("core/raft/a.cc", 'auto s = fmt::format("{:>8} {}", x, Kind::kStop);\n'),
        ("nodes/a.cc", "co_await env.sleep(1s);\nTask<> sleep(Duration d);\n"),
        ("core/raft/a.cc", "int32_t operand(int brand);\nauto x = brand(3);\nq.time(x);\n"),
        ("core/raft/a.cc", "static_assert(kA < kB);\nconst int n = 100'000; char c = '\"';\n"),
        ("sim/world/a.cc", "try { f(); } catch (const E& e) { if (e.ours()) throw; }\n"),
        ("core/env/a.cc", "asio::co_spawn(executor, std::move(body), done);\n"),
        ("net/a.cc", "std::mutex mutex_;\nauto t = std::chrono::steady_clock::now();\n"),
        ("sim/run/a.cc", "double rate = events / seconds;\n"),
        ("tools/dogfs/a.cc", 'auto x = std::getenv("DOGFS_CLUSTER");\n'),
    ]


class CoroutineTest(Table):
    bad = [
        ("coroutine", "nodes/a.cc", "auto f = [this]() -> Task<> { co_return; };\n"),
        ("coroutine", "nodes/a.cc",
         "n.spawn([&, x](Env env) mutable -> env::Task<Result<int>> {\n  co_return 1;\n});\n"),
        ("coroutine", "sim/run/a.cc", "run([=]() -> asio::awaitable<void> { co_await f(); });\n"),
        ("coroutine", "nodes/a.h", HEADER + "Task<Result<>> write(std::string_view path);\n"),
        ("coroutine", "nodes/a.cc", "Task<> Node::put(int a,\n    const std::string& path) {\n}\n"),
        ("coroutine", "core/rpc/a.cc", "Task<Result<int>> f(std::span<const char> bytes);\n"),
        ("coroutine", "nodes/a.cc", "Task<> f(Buffer&& buffer);\n"),
    ]
    good = [
        ("nodes/a.cc", "n.spawn([](Node* node) -> Task<> { co_await node->run(); }(this));\n"),
        ("nodes/a.cc", "auto start = [this]() -> Task<> { return loop(); };\n"),
        ("nodes/a.cc", "Task<Result<std::map<int, int>>> f(Env& env, std::string path);\n"),
        ("nodes/a.cc", "Result<> f(std::string_view path);\n"),
        ("nodes/a.cc", "auto x = co_await f(a && b);\nNursery<Task<>> tasks(const Env& env);\n"),
    ]


class ShapeTest(Table):
    bad = [
        ("length", "core/raft/a.cc", "// " + "x" * 98 + "\n"),
        ("length", "core/raft/a.cc", "int x;\n" * 1001),
        ("length", "core/raft/a.cc", "int f() {\n" + "  g();\n" * 69 + "}\n"),
        ("length", "core/raft/a.cc", "class A {\n public:\n  A() : a_{1} {\n" + "  g();\n" * 70 +
         "  }\n  int a_;\n};\n"),
        ("length", "tests/core/raft/a.cc", 'TEST_CASE("it works") {\n' + "  g();\n" * 70 + "}\n"),
        ("length", "tools/a.py", "def f():\n" + "    g()\n" * 70),
        ("nesting", "core/raft/a.cc", "void f() {\n  for (;;) {\n    if (a) {\n      while (b) {\n"
         "        if (c) {\n          d();\n        }\n      }\n    }\n  }\n}\n"),
        ("header", "core/raft/a.h", "// A thing.\n// More.\n#pragma once\n"),
        ("header", "core/raft/a.h", "#pragma once\n\nint x;\n"),
        ("header", "core/raft/a.h", "#pragma once\n// One line.\n\nint x;\n"),
        ("header", "core/raft/a.h", "#pragma once\n" + "// word\n" * 16),
        ("name", "core/raft/a.cc", "class LogManager {};\n"),
        ("name", "core/raft/a.cc", "struct [[nodiscard]] NodeInfo;\n"),
        ("name", "core/raft/a.cc", "using ShardData = int;\n"),
        ("name", "core/raft/log_util.cc", "int x;\n"),
        ("name", "core/raft/LogFile.cc", "int x;\n"),
        ("leftover", "core/raft/a.cc", "// TO" "DO: later\n"),
        ("leftover", "tools/a.py", "# FIX" "ME\n"),
        ("leftover", "core/raft/a.cc", "// =======\n"),
        ("leftover", "README.md", "see /ho" "me/someone/dogfs\n"),
        ("doctest last", "tests/core/raft/a.cc",
         '#include "tests/doctest.h"\n#include "core/raft/log.h"\n'),
        ("doctest last", "tests/core/raft/a.cc", "#include <doctest/doctest.h>\n"),
        ("proto map", "core/proto/a.proto", "message A {\n  map<string, int32> m = 1;\n}\n"),
    ]
    good = [
        ("core/raft/a.cc", "int f() {\n" + "  g();\n" * 68 + "}\n"),
        ("core/raft/a.cc", "namespace a {\nclass B {\n" + "  int f() {\n    return 1;\n  }\n" * 40 +
         "};\n}\n"),
        ("core/raft/a.cc", "constexpr Row kRows[] = {\n" + "    {f(1), 2},\n" * 80 + "};\n"),
        ("core/raft/a.cc", "void f() {\n  if (a) {\n    g([&] {\n      if (b) {\n"
         "        for (;;) {\n          h();\n        }\n      }\n    });\n  }\n}\n"),
        ("core/raft/a.h", HEADER + "int x;\n"),
        ("core/raft/a.cc", "class Database {};\nclass DataFile {};\nusing Implementation = int;\n"),
        ("core/raft/a.cc", "//  -----|--- kept ---|----- the log\n"),
        ("core/raft/a.cc", "// Not a banner - just a dash -- or two.\n"),
        ("README.md", "see http://host/ho" "me/someone/x and mktemp -d x.XXXXXX\n"),
        ("tests/core/raft/a.cc", '#include "core/raft/log.h"\n\n#include "tests/doctest.h"\n'),
        ("core/proto/a.proto", "// no map<> here\nmessage A {\n  repeated Entry m = 1;\n}\n"),
    ]

    def test_the_path_of_the_checkout_is_reported(self):
        text = "cd /some/where/dogfs/build\n"
        found = findings("README.md", text, machine=("/some/where/dogfs/",))
        self.assertEqual([f.rule for f in found], ["leftover"])

    def test_a_folder_with_code_needs_a_readme(self):
        for path, readme in (("core/raft/a.cc", "core/raft/README.md"),
                             ("net/a.cc", "net/README.md"),
                             ("nodes/client/a.cc", "nodes/README.md")):
            sources = [Source(path, "")]
            self.assertEqual([f.path for f in lint.check(sources, CMAKE) if f.rule == "readme"],
                             [readme])
            sources.append(Source(readme, "#what / lives here.\n"))
            self.assertEqual([f.found for f in lint.check(sources, CMAKE) if f.rule == "readme"],
                             ['it opens with "#what / lives here."'])
            sources[-1] = Source(readme, "# What lives here\n")
            self.assertEqual([f for f in lint.check(sources, CMAKE) if f.rule == "readme"], [])

    def test_places_are_exact(self):
        text = "// one\n\nvoid g();\n\nvoid Log::append(int x) {\n" + "  g();\n" * 80 + "}\n"
        found = findings("core/raft/a.cc", text)
        self.assertEqual([(f.line, f.found) for f in found], [(5, "Log::append has 82 lines")])


class AllowedTest(unittest.TestCase):
    finding = lint.Finding("core/base/a.cc", 3, "thread", "std::mutex", "do not")

    def test_an_entry_covers_its_finding(self):
        text = "# comment\nthread | core/base/a.cc | mutex | needed by the registry\n"
        self.assertEqual(list(lint.apply_allowed([self.finding], text, "allowed.txt")), [])

    def test_an_entry_without_reason_or_use_is_reported(self):
        for text in ("thread | core/base/a.cc | mutex |\n", "thread | core/raft/ | mutex | why\n",
                     "clock | core/base/a.cc | mutex | why\n", "nonsense\n"):
            rules = [f.rule for f in lint.apply_allowed([self.finding], text, "allowed.txt")]
            self.assertEqual(rules, ["thread", "allowed"])


class TreeTest(unittest.TestCase):
    def test_the_tree_is_read_without_build_and_dot_folders(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("core/raft/a.cc", "build/debug/b.cc", ".git/c.cc", ".ci/run", "x/d.bin"):
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write("#!/bin/bash\n" if path == ".ci/run" else "int x;\n")
            self.assertEqual([s.path for s in lint.read_tree(root)], [".ci/run", "core/raft/a.cc"])

    def test_an_unformatted_file_is_reported_once(self):
        if not lint.shutil.which("clang-format-19"):
            self.skipTest("clang-format-19 is not installed")
        with tempfile.TemporaryDirectory() as root:
            for path, text in (("a.cc", "int  x ;\nint  y ;\n"), ("b.cc", "int x;\n")):
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = list(lint.check_format(root, lint.read_tree(root), "clang-format-19"))
            self.assertEqual([(f.path, f.rule) for f in found], [("a.cc", "format")])


if __name__ == "__main__":
    unittest.main()
