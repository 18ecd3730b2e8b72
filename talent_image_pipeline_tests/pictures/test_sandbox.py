"""A worker process that a file has taken over reaches nothing: the code below runs in its place, locked up as it is."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from talent_image_pipeline.pictures.rendering.sandbox import Protection, judge_protections
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers

SECRET = b"planted-token-of-the-parent"

# What a decoder might be made to do. Each is code that ends without an exception when it succeeds.
ATTACKS = {
    "reads the environment of the run": "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "reads its own environment": "open('/proc/self/environ', 'rb').read()",
    "reads the memory of the run": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "reads the database": "open(TARGETS['database'], 'rb').read()",
    "looks into a directory": "os.listdir(TARGETS['directory'])",
    "writes into the picture store": "open(TARGETS['directory'] + '/512.webp', 'wb').write(b'x')",
    "overwrites a picture": "os.rename(TARGETS['database'], TARGETS['directory'] + '/moved')",
    "deletes a picture": "os.unlink(TARGETS['database'])",
    "makes a directory": "os.mkdir(TARGETS['directory'] + '/made')",
    "asks for a file's size": "os.stat(TARGETS['database'])",
    "connects to the database over TCP": "socket.socket().connect(('127.0.0.1', TARGETS['port']))",
    "sends a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "connects to a local socket": "socket.socket(socket.AF_UNIX).connect(TARGETS['socket'])",
    "listens": "socket.socket().bind(('127.0.0.1', 0))",
    "forks": "os.fork() or os._exit(0)",
    "starts a thread": "threading.Thread(target=int).start()",
    "executes a program": "os.execv('/bin/true', ['true'])",
    "starts a program": "subprocess.run(['/bin/true'], check=True)",
    "traces the run": "called(LIBC.ptrace(0x4206, os.getppid(), 0, 0))",
    "reads the run's memory by system call": "called(LIBC.process_vm_readv(os.getppid(), IOVEC, 1, IOVEC, 1, 0))",
    "signals the run": "os.kill(os.getppid(), 0)",
    "raises its own limits": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
    "changes the limits of the run": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))",
    "makes memory executable": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "opens namespaces of its own": "called(LIBC.unshare(0x10000000))",
    "mounts": "called(LIBC.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "leaves its directory": "os.chdir('/')",
    "asks for a gigabyte": "bytearray(1 << 30)",
}

PREPARE = """
import ctypes, json, mmap, os, resource, socket, subprocess, sys, threading
from talent_image_pipeline.pictures.rendering import sandbox
TARGETS = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
BUFFER = ctypes.create_string_buffer(64)
IOVEC = (ctypes.c_size_t * 2)(ctypes.addressof(BUFFER), 8)

def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")

if sys.argv[2] == "locked up":
    sandbox.lock_up(memory_bytes=100 << 20)
try:
    exec(sys.argv[3])
except (OSError, MemoryError, ValueError, RuntimeError) as error:
    os.write(1, b"refused")
else:
    os.write(1, b"succeeded")
os._exit(0)
"""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str | int]]:
    directory = tmp_path_factory.mktemp("store")
    database = tmp_path_factory.mktemp("data") / "talents.db"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        address = str(tmp_path_factory.mktemp("s") / "postgres")
        local.bind(address)
        local.listen()
        port = server.getsockname()[1]
        database.write_bytes(SECRET)
        yield {"directory": str(directory), "database": str(database), "port": port, "socket": address}


def attack(code: str, targets: dict[str, str | int], *, state: str) -> str:
    Path(str(targets["database"])).write_bytes(SECRET)
    for leftover in Path(str(targets["directory"])).iterdir():
        leftover.rmdir() if leftover.is_dir() else leftover.unlink()
    command = [sys.executable, "-c", PREPARE, json.dumps(targets), state, code]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    # An executed program says nothing and ends well: then the attack has succeeded, too.
    return result.stdout.decode() or ("succeeded" if result.returncode == 0 else result.stderr.decode()[-300:])


@pytest.mark.parametrize("code", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_worker_that_was_taken_over_is_refused(code: str, targets: dict[str, str | int]) -> None:
    assert attack(code, targets, state="locked up") == "refused"
    assert Path(str(targets["database"])).read_bytes() == SECRET
    assert list(Path(str(targets["directory"])).iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "reads the environment of the run",
        "reads its own environment",
        "reads the database",
        "looks into a directory",
        "writes into the picture store",
        "overwrites a picture",
        "deletes a picture",
        "connects to the database over TCP",
        "connects to a local socket",
        "forks",
        "starts a thread",
        "executes a program",
        "starts a program",
        "signals the run",
        "makes memory executable",
        "asks for a gigabyte",
    ],
)
def test_the_same_code_succeeds_in_a_process_that_is_not_locked_up(name: str, targets: dict[str, str | int]) -> None:
    assert attack(ATTACKS[name], targets, state="as it is") == "succeeded"


def children() -> set[int]:
    """Return the processes that this one started."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            found.add(int(status.parent.name))
    return found


def test_a_real_worker_is_locked_up_with_an_empty_environment_in_a_directory_that_is_gone() -> None:
    async def scenario() -> tuple[tuple[Protection, ...], dict[str, str], bytes, str]:
        before = children()
        async with PictureWorkers(processes=1) as workers:
            protections = await workers.protections()
            (process,) = (Path(f"/proc/{number}") for number in children() - before)
            lines = (line.split(":", 1) for line in (process / "status").read_text().splitlines())
            status = {name: value.strip() for name, value in lines}
            return protections, status, (process / "environ").read_bytes(), str((process / "cwd").readlink())

    protections, status, environment, directory = anyio.run(scenario)
    assert set(protections) == set(Protection)
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    assert environment == b""
    assert directory.endswith("(deleted)")


def test_the_parent_of_the_workers_keeps_its_memory_to_itself() -> None:
    program = (
        "import ctypes, anyio;"
        "from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers;"
        "anyio.run(PictureWorkers(processes=1).protections);"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "0"


def test_a_kernel_that_lacks_a_protection_is_named_and_the_others_are_kept() -> None:
    assert judge_protections(list(Protection)).is_complete
    finding = judge_protections([one for one in Protection if one is not Protection.LANDLOCK])
    assert not finding.is_complete
    assert "Landlock" in finding.message
    assert "seccomp" not in finding.message


LANDLOCK_REFUSED = """
import sys
from talent_image_pipeline.pictures.rendering import sandbox
# A kernel that knows no Landlock answers with an error, as this number that no system call has.
sandbox._LANDLOCK_CREATE_RULESET = 100_000
print(sorted(sandbox.lock_up(memory_bytes=1 << 26)), file=sys.stderr, flush=True)
"""


def test_without_landlock_the_other_protections_are_put_on_all_the_same() -> None:
    result = subprocess.run([sys.executable, "-c", LANDLOCK_REFUSED], capture_output=True, text=True, check=False)
    assert "Landlock" not in result.stderr
    assert "seccomp" in result.stderr
    assert "no new privileges" in result.stderr
