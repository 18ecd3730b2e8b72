"""The sandbox in a process of its own, with many accounts, and with the latency of real platforms.

What belongs here: starting it, telling it what it is to hold, and what it costs.
What does not: which accounts a scenario has (``scenarios.py``).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measuring import children_of
from talent_image_pipeline.sandbox.server import sandbox_process
from talent_image_pipeline.sandbox.situations import Platform, Situation

_LATENCIES = ("api_latency_ms", "image_latency_ms")


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long the platforms take to answer, in seconds."""

    api: float
    image: float


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The running sandbox.

    Attributes:
        origin: Where it answers.
        environment: The settings that lead the pipeline there.
        process_id: Of its process; none where the system does not tell.
    """

    origin: str
    environment: dict[str, str]
    process_id: int | None

    def add_accounts(self, network: str, *, prefix: str, count: int) -> None:
        """Add accounts named ``<prefix>_00000`` and on."""
        self.send("POST", "accounts", {"network": network, "handle": prefix, "count": count})

    def remove_picture(self, network: str, handle: str) -> None:
        """Let an account have no picture."""
        self.send("PUT", f"accounts/{network}/{handle}", {"situation": str(Situation.NO_PICTURE)})

    def processor_seconds(self) -> float:
        """Return the processor time that the sandbox has taken so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Use the sandbox's control interface.

        Raises:
            RuntimeError: when it refuses, with what it says.
        """
        answer = httpx.request(method, f"{self.origin}/control/{path}", json=body, timeout=60.0, trust_env=False)
        if answer.is_error:
            raise RuntimeError(f"the sandbox refused {method} {path}: {answer.text}")


@contextmanager
def running_platforms(latency: Latency) -> Iterator[Sandbox]:
    """Serve the platforms on a free port of loopback until the end of the block."""
    before = set(children_of(os.getpid()))
    with sandbox_process(port=_free_port()) as process:
        ours = [child for child in children_of(os.getpid()) if child not in before]
        sandbox = Sandbox(origin=process.origin, environment=process.environment, process_id=ours[0] if ours else None)
        seconds = (latency.api, latency.image)
        settings = {name: 1000 * value for name, value in zip(_LATENCIES, seconds, strict=True)}
        for platform in Platform:
            sandbox.send("PUT", f"platforms/{platform}", settings)
        yield sandbox


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
