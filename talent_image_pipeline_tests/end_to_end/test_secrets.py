"""No token, key or signed address in anything that is written: logs, events, metadata, snapshots, tables, output."""

import base64
import gzip
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.tables import metadata, social_account_connection
from talent_image_pipeline_tests.conftest import PROJECT_ROOT
from talent_image_pipeline_tests.end_to_end.conftest import Pipeline, finished

SETTING_NAMES = ("TOKEN", "KEY", "SECRET")
SIGNED_ADDRESS = re.compile(rb"[?&](oh|oe|x-signature|x-expires|access_token|refresh_token|key)=[^&\s\"']{4,}")
SITUATIONS = {
    "instagram": ["ok", "token_expired", "outage", "rate_limited", "picture_truncated", "picture_redirect", "nonsense"],
    "tiktok": ["ok", "token_expired", "refresh_refused", "outage", "picture_is_html", "reset"],
    "youtube": ["ok", "deleted"],
}


def connect_everything(pipeline: Pipeline) -> None:
    for network, situations in SITUATIONS.items():
        for situation in situations:
            handle = f"{network}.{situation.replace('_', '.')}"
            pipeline.connect(f"talent-{network}-{situation}", network, handle)
            pipeline.world.set_situation(network, handle, situation)


def planted_secrets(pipeline: Pipeline) -> list[bytes]:
    with pipeline.engine.connect() as connection:
        columns = sa.select(social_account_connection.c.accessToken, social_account_connection.c.refreshToken)
        tokens = {token for row in connection.execute(columns) for token in row if token}
    settings = {
        value for name, value in pipeline.environment.items() if any(part in name for part in SETTING_NAMES) and value
    }
    assert len(tokens) > 10
    assert len(settings) >= 4
    return [secret.encode() for secret in tokens | settings]


def everything_written(pipeline: Pipeline, outputs: list[str]) -> dict[str, bytes]:
    """Return all that was written, by where it was found, unpacked where Dagster packs it."""
    written = {f"output {number}": output.encode() for number, output in enumerate(outputs)}
    for path in sorted(pipeline.home.rglob("*")):
        if path.is_file() and path.suffix != ".webp":
            content = path.read_bytes()
            written[str(path)] = content + unpacked(content)
    with pipeline.engine.connect() as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(sa.select(table)).all()
            written[f"table {table.name}"] = repr(rows).encode()
    return written


def unpacked(content: bytes) -> bytes:
    """Return what Dagster keeps compressed inside its database files: snapshots and the like."""
    found = b""
    for start in (match.start() for match in re.finditer(rb"x\x9c|\x1f\x8b", content)):
        for unpack in (zlib.decompressobj().decompress, zlib.decompressobj(31).decompress):
            try:
                found += unpack(content[start : start + 1_000_000])
            except (zlib.error, gzip.BadGzipFile):
                continue
    return found


def spellings(secret: bytes) -> set[bytes]:
    return {secret, base64.b64encode(secret).rstrip(b"=")}


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_no_secret_is_in_anything_that_a_run_writes(pipeline: Pipeline) -> None:
    connect_everything(pipeline)
    before = planted_secrets(pipeline)
    outputs = [
        finished(pipeline.start_sync()),
        finished(pipeline.start_sync({"minimum_hours": 0})),
        pipeline.command("refresh", "talent-instagram-picture_redirect").stdout,
        pipeline.command("show", "talent-tiktok-refresh_refused").stdout,
        pipeline.command("doctor").stdout,
        snapshot(pipeline),
    ]
    secrets = {*before, *planted_secrets(pipeline)}
    written = everything_written(pipeline, outputs)
    assert any("event" in name or "runs" in name for name in written), sorted(written)
    for place, content in written.items():
        leaked = [secret for secret in secrets if any(spelling in content for spelling in spellings(secret))]
        assert leaked == [], place
        assert SIGNED_ADDRESS.search(content) is None, place


def snapshot(pipeline: Pipeline) -> str:
    """Return what the code server tells of the definitions, with every secret setting in its environment."""
    command = [str(Path(sys.executable).parent / "dg"), "list", "defs", "--json"]
    environment = {**os.environ, **pipeline.environment}
    listed = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return listed.stdout + listed.stderr
