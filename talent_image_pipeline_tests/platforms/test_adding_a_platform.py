"""The guide for adding a platform is true: its code, put where it says, is a platform, and no other file changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import talent_image_pipeline

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "adding-a-platform.md"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Build the guide's example in a copy of the package, and run it in a process of its own."""
    directory = tmp_path_factory.mktemp("example")
    package = directory / "talent_image_pipeline"
    original = Path(talent_image_pipeline.__file__).parent
    shutil.copytree(original, package, ignore=shutil.ignore_patterns("__pycache__"))
    file, line = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (package / "platforms" / "bluesky.py").write_text(file, encoding="utf-8")
    with (package / "platforms" / "registry.py").open("a", encoding="utf-8") as registry:
        registry.write(line)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TALENT_", "DAGSTER_"))},
        "PYTHONPATH": os.pathsep.join([str(directory), str(REPOSITORY)]),
        "TALENT_DATA_DIR": str(directory / "data"),
        "TALENT_DATABASE_URL": f"sqlite:///{directory / 'talents.db'}",
        "TALENT_IMAGE_STORE": str(directory / "images"),
        "TALENT_IMAGE_PLATFORMS": "bluesky,instagram",
    }
    command = [sys.executable, "-P", "-m", "talent_image_pipeline_tests.platforms.bluesky_example", str(directory)]
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_the_example_reads_owns_and_publishes_a_picture(outcome: dict[str, Any]) -> None:
    first = outcome["days"][0]
    assert first["rows"]["ada.bsky.social"] == ["picture", "did:plc:ada", "bluesky"]
    assert first["pictures"] == 1


def test_the_example_takes_nothing_for_granted_that_was_left_out(outcome: dict[str, Any]) -> None:
    rows = outcome["days"][0]["rows"]
    assert rows["ben.bsky.social"] == ["unconfirmed", "did:plc:ben", "initials"]
    assert rows["cleo.bsky.social"] == ["unconfirmed", None, "initials"]


def test_one_refused_name_keeps_nobody_else_from_being_read(outcome: dict[str, Any]) -> None:
    assert outcome["days"][0]["rows"]["refused.bsky.social"][0] == "needs_reconnect"


def test_the_example_downloads_an_unchanged_picture_once(outcome: dict[str, Any]) -> None:
    assert outcome["days"][1]["rows"]["ada.bsky.social"] == ["unchanged", "did:plc:ada", "bluesky"]
    assert outcome["days"][1]["pictures"] == 0


def test_the_doctor_finds_nothing_to_mend_for_accounts_that_were_just_read(outcome: dict[str, Any]) -> None:
    assert outcome["doctor"] == {
        "Bluesky, own token": "ok",
        "Bluesky, handle alone": "ok",
        "BLUESKY_API_URL": "ok",
    }


def test_the_example_is_an_asset_and_what_is_not_active_is_none(outcome: dict[str, Any]) -> None:
    assert outcome["assets"] == ["bluesky_images", "candidate_talents", "instagram_images", "resolved_profile_images"]
