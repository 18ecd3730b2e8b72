"""Locks a process up once it has loaded what it needs: a decoder that a file has taken over can then reach nothing.

What belongs here: the protections of the Linux kernel that a process can put on itself, each by itself, so that where
the kernel lacks one the others still hold. Reading, writing, computing and asking for memory stay possible, on the
descriptors that are open already.
What does not: what the process does (``worker_process.py``), and starting it with nothing worth stealing
(``worker_pool.py``).

The numbers are those of the kernel's headers: linux/landlock.h, linux/seccomp.h, linux/filter.h, linux/audit.h,
asm/unistd_64.h and asm-generic/unistd.h.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

if sys.platform != "win32":
    import resource

_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
# Rights over files by version of Landlock, one bit each; those over TCP came with 4, limits on signals with 6.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_ALL_TCP_RIGHTS, _ALL_SCOPES = 0b11, 0b11


class Protection(StrEnum):
    """One thing that a worker process is kept from."""

    EMPTY_ENVIRONMENT = "empty environment and directory"
    NO_MEMORY_ACCESS = "no access by other processes"
    RESOURCE_LIMITS = "resource limits"
    NO_NEW_PRIVILEGES = "no new privileges"
    LANDLOCK = "no files and no network (Landlock)"
    SECCOMP = "no system calls but a few (seccomp)"


@dataclass(frozen=True, kw_only=True)
class ProtectionFinding:
    """Whether the processes that decode pictures are kept from everything else, and a sentence on it for a person."""

    is_complete: bool
    message: str


def judge_protections(held: Collection[Protection]) -> ProtectionFinding:
    """Say which protections hold in the worker processes, and which this system lacks.

    Args:
        held: Those that a worker process reported.
    """
    missing = [protection for protection in Protection if protection not in held]
    if not missing:
        return ProtectionFinding(is_complete=True, message="A process that decodes pictures can reach nothing else.")
    words = ", ".join(missing)
    return ProtectionFinding(
        is_complete=False,
        message=(
            f"Processes that decode pictures lack on this system: {words}. Pictures are rendered all the same;"
            " a recent Linux kernel (5.13 or newer, on x86-64 or ARM64) has them all."
        ),
    )


def protect_memory() -> bool:
    """Keep other processes of the same user out of this one's memory, and its environment out of ``/proc``."""
    return _is_linux() and _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0


def lock_up(*, memory_bytes: int) -> list[Protection]:
    """Give up everything that decoding does not need; there is no way back.

    Args:
        memory_bytes: How much more memory this process may use than it does now, in bytes.

    Returns:
        The protections that hold from now on. On systems other than Linux these are few.
    """
    os.environ.clear()
    most_bytes = _address_space() + memory_bytes if _is_linux() else memory_bytes
    # In this order: each step takes away what those before it needed.
    steps: list[tuple[Protection, Callable[[], bool]]] = [
        (Protection.EMPTY_ENVIRONMENT, _has_empty_directory),
        (Protection.NO_MEMORY_ACCESS, protect_memory),
        (Protection.NO_NEW_PRIVILEGES, _refuse_new_privileges),
        (Protection.LANDLOCK, _give_up_files_and_network),
        (Protection.RESOURCE_LIMITS, lambda: _limit_resources(most_bytes)),
        (Protection.SECCOMP, _give_up_system_calls),
    ]
    return [protection for protection, step in steps if step()]


def _is_linux() -> bool:
    return sys.platform == "linux"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _has_empty_directory() -> bool:
    try:
        return not os.listdir(".")  # noqa: PTH208 - nothing else may be loaded for it
    except FileNotFoundError:
        # It was removed once this process was in it: then nothing can ever be put there.
        return True


def _limit_resources(most_bytes: int) -> bool:
    if sys.platform == "win32":
        return False
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: 0}
    if sys.platform == "linux":
        limits[resource.RLIMIT_NPROC] = 0
        limits[resource.RLIMIT_AS] = most_bytes
    try:
        for limit, most in limits.items():
            resource.setrlimit(limit, (most, most))
    except (OSError, ValueError):
        return False
    return True


def _address_space() -> int:
    """Return the size of this process's address space, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - nothing else may be loaded for it
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _refuse_new_privileges() -> bool:
    return _is_linux() and _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def _give_up_files_and_network() -> bool:
    """Enter a Landlock domain without a single rule: every right that it knows is refused."""
    if not _is_linux():
        return False
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    attributes = [(1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1]
    attributes += [_ALL_TCP_RIGHTS] if version >= 4 else []
    attributes += [_ALL_SCOPES] if version >= 6 else []
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, packed, len(packed), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


# The system calls that decoding and answering need, by machine. Everything else fails with "operation not permitted".
_NUMBERS = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "close": 3,
        "fstat": 5,
        "lseek": 8,
        "mmap": 9,
        "mprotect": 10,
        "munmap": 11,
        "brk": 12,
        "rt_sigaction": 13,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "readv": 19,
        "writev": 20,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "nanosleep": 35,
        "getpid": 39,
        "exit": 60,
        "gettimeofday": 96,
        "getrusage": 98,
        "sigaltstack": 131,
        "gettid": 186,
        "futex": 202,
        "sched_getaffinity": 204,
        "restart_syscall": 219,
        "clock_gettime": 228,
        "clock_nanosleep": 230,
        "exit_group": 231,
        "prlimit64": 302,
        "getcpu": 309,
        "getrandom": 318,
        "membarrier": 324,
        "rseq": 334,
    },
    "aarch64": {
        "close": 57,
        "lseek": 62,
        "read": 63,
        "write": 64,
        "readv": 65,
        "writev": 66,
        "fstat": 80,
        "exit": 93,
        "exit_group": 94,
        "futex": 98,
        "nanosleep": 101,
        "clock_gettime": 113,
        "clock_nanosleep": 115,
        "sched_getaffinity": 123,
        "sched_yield": 124,
        "restart_syscall": 128,
        "sigaltstack": 132,
        "rt_sigaction": 134,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "getrusage": 165,
        "getcpu": 168,
        "gettimeofday": 169,
        "getpid": 172,
        "gettid": 178,
        "brk": 214,
        "munmap": 215,
        "mremap": 216,
        "mmap": 222,
        "mprotect": 226,
        "madvise": 233,
        "prlimit64": 261,
        "getrandom": 278,
        "membarrier": 283,
        "rseq": 293,
    },
}
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_PROT_EXEC = 4

# struct seccomp_data: the call's number, the architecture, the instruction pointer, then six arguments of 8 bytes.
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ARGUMENTS_AT = 16
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE = 0x00050000 | 1  # EPERM


def _give_up_system_calls() -> bool:
    """Let the kernel refuse every system call that is not on the list: sockets, files, processes, signals."""
    machine = platform.machine()
    if not _is_linux() or machine not in _NUMBERS or struct.calcsize("P") != 8:
        return False
    program = _filter_program(_NUMBERS[machine], _ARCHITECTURES[machine])
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are.
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    return bool(_libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _filter_program(numbers: dict[str, int], architecture: int) -> bytes:
    """Return the filter: instructions of 8 bytes for the kernel's packet filter."""
    plain = [number for name, number in numbers.items() if name not in {"mmap", "mprotect", "prlimit64"}]
    program = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_IF_EQUAL, architecture, if_true=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    for number in plain:
        program += [_instruction(_JUMP_IF_EQUAL, number, if_false=1), _instruction(_RETURN, _ALLOW)]
    for name in ("mmap", "mprotect"):
        # No memory becomes executable any more.
        program += [
            _instruction(_JUMP_IF_EQUAL, numbers[name], if_false=4),
            _instruction(_LOAD, _ARGUMENTS_AT + 8 * 2),
            _instruction(_JUMP_IF_ANY_BIT, _PROT_EXEC, if_false=1),
            _instruction(_RETURN, _REFUSE),
            _instruction(_RETURN, _ALLOW),
        ]
    # Limits of this process, which are addressed as those of process 0, and of no other.
    program += [
        _instruction(_JUMP_IF_EQUAL, numbers["prlimit64"], if_false=3),
        _instruction(_LOAD, _ARGUMENTS_AT),
        _instruction(_JUMP_IF_EQUAL, 0, if_false=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]
    return b"".join(program)


def _instruction(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
