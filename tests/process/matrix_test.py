"""The matrix of the data path: files of every size at which something changes (no byte, one, around
the number of data shards, around the ends of cells, stripes and blocks, large ones) times block
sizes times policies, on 14 chunk servers: stored, read whole, in ranges, and with as many chunk
servers dead as the policy stands, each time compared byte for byte; then deleted.

    python3 tests/process/matrix_test.py PROGRAM            # blocks of 1 MiB, a minute or two
    python3 tests/process/matrix_test.py PROGRAM --whole    # all of it; some 20 GiB go in and out

Each block size has a cluster of its own below the temporary directory (TMPDIR), gone at the end.
The last line says how much was stored and read, and how long it took.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CELL = 256 * KIB
SERVERS = 14
POLICIES = ("rep-1", "rep-3", "rs-2-1", "rs-4-2", "rs-6-3", "rs-10-4")
QUICK_POLICIES = ("rep-3", "rs-2-1", "rs-10-4")
BASE = random.Random(1).randbytes(4 * MIB)


def data_shards(policy):
    return 1 if policy.startswith("rep") else int(policy.split("-")[1])


def spare_shards(policy):
    parts = policy.split("-")
    return int(parts[1]) - 1 if parts[0] == "rep" else int(parts[2])


def sizes(policy, block, whole):
    k = data_shards(policy)
    around = [CELL, k * CELL, block]
    if block <= 16 * MIB:
        around += [2 * block, block + k * CELL]
    found = {0, 1, k - 1, k, k + 1}
    for boundary in around:
        found |= {boundary - 1, boundary, boundary + 1}
    if whole and block == 64 * MIB:
        found |= {MIB, 16 * MIB, 256 * MIB, GIB}
    return sorted(found)


def piece(number, seed):
    """A MiB that is like no other, of this file or another."""
    head = b"%016x%016x" % (seed, number)
    start = (number * 2654435761 + seed * 40503) % (3 * MIB - 64)
    return head + BASE[start:start + MIB - len(head)]


def write_local(path, size):
    """The file of that size, and its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for number in range((size + MIB - 1) // MIB):
            part = piece(number, size)[:min(MIB, size - number * MIB)]
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


class Cluster:
    def __init__(self, program, place, block):
        self.program, self.directory = program, place / "cluster"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("DOGFS_")}
        self.environment |= {"DOGFS_CLUSTER": str(self.directory), "XDG_STATE_HOME": str(place)}
        self.control("up", "--meta", "1", "--chunk", str(SERVERS), "--policy", "rep-1",
                     "--block", str(block), "--inline", "0")

    def run(self, *arguments, text=True):
        done = subprocess.run([self.program, *map(str, arguments)], env=self.environment,
                              capture_output=True, text=text)
        if done.returncode != 0:
            error = done.stderr if text else done.stderr.decode(errors="replace")
            raise RuntimeError(f"dogfs {' '.join(map(str, arguments))}: {done.returncode}: {error}")
        return done.stdout

    def control(self, verb, *arguments):
        return self.run("cluster", verb, *arguments, "--dir", self.directory)

    def is_whole(self):
        lines = self.run("cluster", "status", "--json", "--dir", self.directory).splitlines()
        return any(json.loads(line).get("whole") for line in lines)

    def up(self):
        self.control("up")
        for _ in range(300):
            if self.is_whole():
                return
            time.sleep(0.1)
        raise RuntimeError("the cluster is not whole after 30 s")


class Matrix:
    def __init__(self, program, whole):
        self.program, self.whole = program, whole
        self.files, self.stored, self.read = 0, 0, 0

    def check_whole(self, cluster, name, size, digest):
        found = cluster.run("sum", name).split()[0]
        if found != digest:
            raise RuntimeError(f"{name}: {size} bytes with sum {found}, not {digest}")
        self.read += size

    def check_ranges(self, cluster, name, size, local):
        ends = {0, 1, CELL - 1, CELL, size // 2, size - 1, size}
        for offset in sorted(end for end in ends if 0 <= end <= size):
            length = min(CELL + 3, size - offset)
            found = cluster.run("cat", name, "--offset", offset, "--length", length, text=False)
            with open(local, "rb") as file:
                file.seek(offset)
                if found != file.read(length):
                    raise RuntimeError(f"{name}: {length} bytes at {offset} differ")
            self.read += length

    def check_policy(self, cluster, place, policy, block, locals_):
        names = []
        for size in sizes(policy, block, self.whole):
            if size not in locals_:
                path = place / f"local-{size}"
                locals_[size] = (path, write_local(path, size))
            path, digest = locals_[size]
            name = f"/{policy}-{size}"
            cluster.run("put", path, name, "--policy", policy)
            self.files, self.stored = self.files + 1, self.stored + size
            self.check_whole(cluster, name, size, digest)
            self.check_ranges(cluster, name, size, path)
            names.append((name, size, digest, path))
        spare = spare_shards(policy)
        if spare > 0:
            first = self.files % SERVERS
            dead = [f"chunk-{(first + i) % SERVERS + 1}" for i in range(spare)]
            for server in dead:
                cluster.control("kill", server)
            for name, size, digest, path in names:
                self.check_whole(cluster, name, size, digest)
                if size <= 4 * block:
                    self.check_ranges(cluster, name, size, path)
            cluster.up()
        for name, *_ in names:
            cluster.run("rm", name)

    def run_block(self, block):
        began = time.monotonic()
        place = pathlib.Path(tempfile.mkdtemp(prefix="dogfs-matrix."))
        cluster = None
        try:
            cluster = Cluster(self.program, place, block)
            locals_ = {}
            for policy in POLICIES if self.whole else QUICK_POLICIES:
                self.check_policy(cluster, place, policy, block, locals_)
                print(f"blocks of {block // MIB} MiB, {policy}: right,"
                      f" {time.monotonic() - began:.0f} s", flush=True)
        finally:
            if cluster:
                cluster.control("down")
            shutil.rmtree(place)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    whole = "--whole" in sys.argv
    matrix = Matrix(program, whole)
    began = time.monotonic()
    for block in (1, 16, 64, 512) if whole else (1,):
        matrix.run_block(block * MIB)
    print(f"{matrix.files} files, {matrix.stored / GIB:.2f} GiB stored, {matrix.read / GIB:.2f} GiB"
          f" read, all identical, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
