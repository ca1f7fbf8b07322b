"""A cluster on three machines, which are three network namespaces joined by a bridge: founded by
one metadata server, joined by the others and by chunk servers, each started with its flags alone.
One machine is cut off, one loses its disk, all are restarted at once; an operator looks after the
group.

    python3 tests/process/hosts_test.py PROGRAM

Skipped, saying so, where network namespaces cannot be made (that takes CAP_NET_ADMIN and ip).
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
HOSTS = (1, 2, 3)
PREFIX = f"dogfs{os.getpid() % 10000}"
META_PORT, CHUNK_PORT = 7000, 7001


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def space(host):
    return f"{PREFIX}-{host}"


def address(host):
    return f"10.77.0.{host}"


def make_network():
    """Three namespaces and a fourth that holds the bridge between them."""
    hub = space("hub")
    ip("netns", "add", hub)
    ip("-n", hub, "link", "add", "bridge", "type", "bridge")
    ip("-n", hub, "link", "set", "bridge", "up")
    for host in HOSTS:
        ip("netns", "add", space(host))
        ip("-n", space(host), "link", "add", "eth", "type", "veth",
           "peer", "name", f"port{host}", "netns", hub)
        ip("-n", hub, "link", "set", f"port{host}", "master", "bridge", "up")
        ip("-n", space(host), "address", "add", f"{address(host)}/24", "dev", "eth")
        ip("-n", space(host), "link", "set", "eth", "up")
        ip("-n", space(host), "link", "set", "lo", "up")


def remove_network():
    for name in (*HOSTS, "hub"):
        ip("netns", "delete", space(name), check=False)


class Hosts(unittest.TestCase):
    def setUp(self):
        try:
            make_network()
        except (OSError, subprocess.CalledProcessError) as failed:
            remove_network()
            reason = getattr(failed, "stderr", None) or str(failed)
            self.skipTest(f"no network namespaces can be made here: {reason.strip()}")
        self.addCleanup(remove_network)
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dogfs-hosts."))
        self.addCleanup(shutil.rmtree, self.place)
        self.servers = {}
        self.addCleanup(self.stop_all)

    # --- Servers ---

    def start(self, name, host, *flags):
        log = open(self.place / f"{name}.log", "ab")
        self.addCleanup(log.close)
        self.servers[name] = subprocess.Popen(
            ["ip", "netns", "exec", space(host), PROGRAM, *flags,
             "--data", self.place / name], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start_meta(self, host, founds=True):
        others = [f"{address(other)}:{META_PORT}" for other in HOSTS if other != host]
        entrance = ["--join", ",".join(others)]
        if host == 1 and founds:
            entrance = ["--bootstrap", "--policy", "rep-3"]
        self.start(f"meta-{host}", host, "meta", "--id", str(host), *entrance,
                   "--listen", f"{address(host)}:{META_PORT}")

    def start_chunk(self, host):
        self.start(f"chunk-{host}", host, "chunk", "--name", f"chunk-{host}",
                   "--join", ",".join(f"{address(h)}:{META_PORT}" for h in HOSTS),
                   "--listen", f"{address(host)}:{CHUNK_PORT}", "--zone", f"host-{host}")

    def kill(self, name):
        server = self.servers.pop(name)
        server.send_signal(signal.SIGKILL)
        server.wait()

    def stop_all(self):
        for name in list(self.servers):
            self.kill(name)

    def logs(self):
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}"
                         for path in sorted(self.place.glob("*.log")))

    # --- Commands, run on one of the machines ---

    def dogfs(self, *arguments, host=1, code=0):
        servers = ",".join(f"{address(h)}:{META_PORT}" for h in HOSTS)
        done = subprocess.run(
            ["ip", "netns", "exec", space(host), PROGRAM, *arguments, "--cluster", servers],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}"
                         f"\n{self.logs()}")
        return done.stdout + done.stderr

    def eventually(self, what, happens, limit=60):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if happens():
                return
            time.sleep(0.2)
        self.fail(f"{what} did not happen within {limit} s\n{self.logs()}")

    def group(self, host=1):
        servers = ",".join(f"{address(h)}:{META_PORT}" for h in HOSTS)
        done = subprocess.run(
            ["ip", "netns", "exec", space(host), PROGRAM, "admin", "group", "--json",
             "--cluster", servers], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_for_group(self, *nodes, host=1):
        def whole():
            group = self.group(host)
            return (group and not group["changing"]
                    and sorted(m["id"] for m in group["members"]) == sorted(nodes)
                    and all(m["part"] == "voter" and m["heard"] for m in group["members"]))
        self.eventually(f"a group of {nodes}", whole)
        return self.group(host)

    def works(self, path, host=1):
        self.eventually(f"mkdir {path}", lambda: subprocess.run(
            ["ip", "netns", "exec", space(host), PROGRAM, "mkdir", "--parents", path, "--cluster",
             ",".join(f"{address(h)}:{META_PORT}" for h in HOSTS)],
            capture_output=True, timeout=60).returncode == 0)

    # --- The story ---

    def test_three_machines(self):
        for host in HOSTS:
            self.start_meta(host)
            self.start_chunk(host)
        group = self.wait_for_group(1, 2, 3)
        first_stores = {member["id"]: member["store"] for member in group["members"]}

        content = os.urandom(300_000)
        (self.place / "file").write_bytes(content)
        self.eventually("put", lambda: self.put("/file"))
        self.dogfs("get", "/file", str(self.place / "copy"), host=3)
        self.assertEqual((self.place / "copy").read_bytes(), content)

        # A machine is cut off: the others go on; it comes back.
        ip("-n", space("hub"), "link", "set", "port1", "down")
        self.works("/without-1", host=2)
        ip("-n", space("hub"), "link", "set", "port1", "up")
        self.wait_for_group(1, 2, 3)

        # Leadership moves; a plan alone changes nothing.
        heir = group["leader"] % 3 + 1
        self.dogfs("admin", "transfer", f"meta-{heir}")
        self.assertEqual(self.wait_for_group(1, 2, 3)["leader"], heir)
        plan = self.dogfs("admin", "remove", "meta-3", "--dry-run")
        self.assertIn("nothing was done", plan)
        self.wait_for_group(1, 2, 3)

        # One machine down: what would leave a group without a majority is refused.
        self.kill("meta-3")
        self.eventually("meta-3 to be missed", lambda: any(
            not m["heard"] for m in (self.group() or {"members": []})["members"]))
        refused = self.dogfs("admin", "remove", "meta-2", code=4)
        self.assertIn("meta-3", refused)

        # Its disk is lost; started by the same command, it takes its own place.
        shutil.rmtree(self.place / "meta-3")
        self.start_meta(3)
        group = self.wait_for_group(1, 2, 3)
        stores = {member["id"]: member["store"] for member in group["members"]}
        self.assertNotEqual(stores[3], first_stores[3])
        self.assertEqual(stores[1], first_stores[1])

        # So is that of the founder; it joins this time, or it would found another cluster.
        self.kill("meta-1")
        shutil.rmtree(self.place / "meta-1")
        self.start_meta(1, founds=False)
        self.eventually("meta-1 to be replaced", lambda: any(
            m["id"] == 1 and m["store"] != first_stores[1]
            for m in (self.group(2) or {"members": []})["members"]))
        self.wait_for_group(1, 2, 3)
        self.dogfs("ls", "/file")

        # All at once, with what they know of each other on their disks.
        for host in HOSTS:
            self.kill(f"meta-{host}")
        for host in HOSTS:
            self.start_meta(host)
        self.wait_for_group(1, 2, 3)
        self.works("/after-all")
        self.dogfs("ls", "/file")

        self.dogfs("admin", "remove", "meta-2")
        self.wait_for_group(1, 3)

    def put(self, path):
        servers = ",".join(f"{address(h)}:{META_PORT}" for h in HOSTS)
        return subprocess.run(
            ["ip", "netns", "exec", space(2), PROGRAM, "put", self.place / "file", path,
             "--cluster", servers], capture_output=True, timeout=60).returncode == 0


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
