"""``talent-images release``: what a person sees who believes a platform."""

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from talent_image_pipeline.cli.release import release
from talent_image_pipeline_tests.sync import test_mass_guard as guard


def test_it_says_how_much_was_released_and_refuses_unknown_platforms(
    migrated_engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_engine.url.render_as_string(hide_password=False))
    guard.read(migrated_engine, guard.agency(migrated_engine, 8), guard.NONE, now=guard.NOW)
    first, again = (CliRunner().invoke(release, ["instagram"]) for _ in range(2))
    assert first.output.startswith("Released instagram: 8 pictures dropped, 0 accounts")
    assert again.output.startswith("Released instagram: 0 pictures dropped")
    unknown = CliRunner().invoke(release, ["myspace"])
    assert unknown.exit_code == 2
    assert "'myspace' is not one of" in unknown.output
