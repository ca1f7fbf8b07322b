"""tools/quickstart, with a program that is built already, as a person runs it: the file comes back,
and what it leaves behind is nothing, or with --keep a cluster that its own words tell how to use.

    python3 tests/process/quickstart_test.py PROGRAM
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dogfs quickstart."))
        self.addCleanup(shutil.rmtree, self.place)
        self.home, self.temporary = self.place / "home", self.place / "tmp"
        (self.place / "build/release").mkdir(parents=True)
        (self.place / "build/release/dogfs").symlink_to(PROGRAM)
        shutil.copytree(SOURCE / "tools", self.place / "tools")
        for directory in (self.home, self.temporary, self.place / "bin"):
            directory.mkdir()
        (self.place / "bin/cmake").symlink_to("/bin/true")  # there is nothing to build

    def environment(self):
        found = {k: v for k, v in os.environ.items() if k != "XDG_STATE_HOME"}
        return found | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PATH": f"{self.place}/bin:{os.environ['PATH']}",
            "DOGFS_CLUSTER": "/of/another/day",
            "DOGFS_POLICY": "rs-10-4",
        }

    def run_quickstart(self, *arguments):
        return subprocess.run(
            [self.place / "tools/quickstart", *arguments],
            env=self.environment(), text=True, capture_output=True, timeout=300)

    def stop(self):
        for cluster in self.temporary.glob("*/cluster"):
            subprocess.run([PROGRAM, "cluster", "down", "--dir", cluster], check=False)

    def test_leaves_nothing_behind(self):
        done = self.run_quickstart()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("SHA-256 is the same", done.stdout)
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertEqual(list(self.home.iterdir()), [])

    def test_keep_tells_how_to_go_on(self):
        done = self.run_quickstart("--keep")
        self.addCleanup(self.stop)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        _, commands = done.stdout.split("Go on with:")
        script = "set -e; echo text >README.md" + commands
        again = subprocess.run(
            ["bash", "-c", script], env=self.environment(), cwd=self.place,
            text=True, capture_output=True, timeout=120)
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn("quickstart.bin", again.stdout)
        self.assertTrue(again.stdout.count("live") >= 6, again.stdout)
        self.assertEqual(list(self.temporary.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
