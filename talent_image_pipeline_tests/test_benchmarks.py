"""The benchmark runs, and counts what it should; how long anything takes is no matter of tests."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.plan import Plan, measure
from benchmarks.platforms import Latency
from benchmarks.report import Results, print_report, write_json
from benchmarks.syncing import FIRST_SYNC, NOTHING_CHANGED, SyncFigures

# One measurement serves them all.
pytestmark = pytest.mark.xdist_group("benchmarks")

_TALENTS = 20
_GROWN = 8


@pytest.fixture(scope="module")
def results() -> Results:
    plan = Plan(
        talents=_TALENTS,
        mixes=("mixed",),
        concurrencies=(None,),
        growth=(_GROWN,),
        latency=Latency(api=0.0, image=0.0),
        pictures=2,
        planned_talents=250,
        databases=("sqlite",),
    )
    return measure(plan, tell=lambda step: None)


def _only(figures: list[SyncFigures], day: str) -> SyncFigures:
    (found,) = [one for one in figures if one.day == day]
    return found


def test_a_first_sync_reads_and_downloads_every_talent_once(results: Results) -> None:
    first = _only(results.growth, FIRST_SYNC)
    assert first.talents == _GROWN
    assert first.outcomes == {"picture": _GROWN}
    assert first.count("downloads") == first.count("pictures_changed") == _GROWN
    assert first.calls_per_talent == 1


def test_a_day_without_changes_downloads_nothing(results: Results) -> None:
    for figures, talents in ((results.growth, _GROWN), (results.syncs, _TALENTS)):
        unchanged = _only(figures, NOTHING_CHANGED)
        assert unchanged.outcomes["unchanged"] == talents
        assert unchanged.count("downloads") == 0


def test_the_mix_fails_over_to_youtube_where_instagram_has_no_picture(results: Results) -> None:
    first = _only(results.syncs, FIRST_SYNC)
    assert first.outcomes == {"picture": _TALENTS, "no_picture": _TALENTS // 10}


def test_channels_that_are_known_take_one_call_together(results: Results) -> None:
    assert _only(results.syncs, NOTHING_CHANGED).counts_by_asset["youtube_images"]["api_calls"] == 1


def test_everybody_is_planned_and_nothing_is_found_to_do(results: Results) -> None:
    (planning,) = results.planning
    assert planning.planned == planning.talents == 250
    assert planning.changes_found == 0


def test_pictures_of_both_sizes_are_rendered(results: Results) -> None:
    assert [one.side for one in results.rendering] == [320, 1080]
    assert all(set(one.rendition_bytes) == {64, 128, 256, 512} for one in results.rendering)


def test_the_report_names_everything_and_the_file_holds_it(results: Results, tmp_path: Path) -> None:
    printed = io.StringIO()
    print_report(results, Console(width=200, file=printed))
    for words in ("Whole syncs", "Where the time went", "As the work grows", "Pictures alone", "Planning", "54.0 s"):
        assert words in printed.getvalue()
    write_json(results, tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert [one["calls_per_talent"] for one in written["growth"]] == [1, 1]
