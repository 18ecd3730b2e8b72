"""What the plain types between platforms and pipeline decide on their own."""

import pytest

from talent_image_pipeline.platforms.contract import Outcome, Reading, is_other_account


def reading_with(*upstream_ids: str) -> Reading:
    first = upstream_ids[0] if upstream_ids else None
    return Reading(outcome=Outcome.PICTURE, message="", upstream_id=first, also_known_as=upstream_ids[1:])


@pytest.mark.parametrize(
    ("remembered", "given"),
    [("2", ("1",)), ("2 via @a", ("1 via @a",)), ("union:2", ("union:1", "open")), ("open", ("union:1", "other"))],
)
def test_another_id_of_the_same_kind_is_another_account(remembered: str, given: tuple[str, ...]) -> None:
    assert is_other_account(remembered, reading_with(*given))


@pytest.mark.parametrize(
    ("remembered", "given"),
    [
        (None, ("1",)),
        ("1", ()),
        ("1", ("1",)),
        ("1 via @before", ("1 via @after",)),
        ("1 via @before", ("1",)),
        ("union:1", ("open",)),
        ("open", ("union:1",)),
        ("open", ("union:1", "open")),
        ("union:1", ("union:1", "another client's open id")),
    ],
)
def test_an_id_of_another_kind_or_none_at_all_speaks_of_no_other_account(
    remembered: str | None, given: tuple[str, ...]
) -> None:
    assert not is_other_account(remembered, reading_with(*given))
