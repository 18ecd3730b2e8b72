"""The last good picture survives any sequence of failures, whichever they are and however long they last."""

from datetime import timedelta
from itertools import count

import hypothesis
import pytest
from hypothesis import strategies as st

from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS
from talent_image_pipeline_tests.soak.simulation import Simulation

pytestmark = pytest.mark.usefixtures("retries_at_once")

DAY = timedelta(days=1)

#: Neither a picture nor word that there is none, on every network.
OUTAGES = (
    Situation.OUTAGE,
    Situation.BAD_GATEWAY,
    Situation.SERVER_ERROR,
    Situation.TRANSIENT,
    Situation.ERROR_IN_200,
    Situation.RESET,
    Situation.NONSENSE,
    Situation.TRUNCATED_BODY,
    Situation.HUGE_BODY,
    Situation.API_REDIRECT,
    Situation.RATE_LIMITED,
    Situation.USER_LIMIT,
    Situation.CUSTOM_LIMIT,
    Situation.FIELD_REMOVED,
)
DEAD_TOKENS = (
    Situation.TOKEN_EXPIRED,
    Situation.TOKEN_INVALID,
    Situation.PASSWORD_CHANGED,
    Situation.APP_REMOVED,
    Situation.SCOPE_MISSING,
)
#: These let the API say what is true; then the picture itself fails.
PICTURE_FAILURES = (
    Situation.PICTURE_TRUNCATED,
    Situation.PICTURE_IS_HTML,
    Situation.PICTURE_IS_SVG,
    Situation.PICTURE_OVERSIZED_UNDECLARED,
    Situation.PICTURE_REDIRECT,
    Situation.PICTURE_EXPIRED,
    Situation.PICTURE_NOT_FOUND,
    Situation.PICTURE_EMPTY,
)
FAILURES = {
    Network.INSTAGRAM: (*OUTAGES, *DEAD_TOKENS, Situation.CHECKPOINT, Situation.POLICY_BLOCK, *PICTURE_FAILURES),
    Network.TIKTOK: (
        *OUTAGES,
        *DEAD_TOKENS,
        Situation.REFRESH_REFUSED,
        Situation.REFRESH_OUTAGE,
        Situation.REFRESH_ANSWER_LOST,
        Situation.KEY_INVALID,
        *PICTURE_FAILURES,
    ),
    Network.YOUTUBE: (*OUTAGES, Situation.KEY_INVALID, Situation.API_NOT_ENABLED, *PICTURE_FAILURES),
}
_APIS = {Network.INSTAGRAM: Platform.INSTAGRAM, Network.TIKTOK: Platform.TIKTOK, Network.YOUTUBE: Platform.YOUTUBE}
_numbers = count()

failing_days = st.lists(
    st.tuples(
        st.fixed_dictionaries({network: st.sampled_from(situations) for network, situations in FAILURES.items()}),
        # Longer than TikTok's tokens live, so that each day begins with a refresh.
        st.sampled_from([timedelta(hours=3), timedelta(hours=7), DAY, 3 * DAY]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def handles(simulation: Simulation) -> dict[Network, str]:
    """One account on each network, which every example connects to a talent of its own."""
    made = {network: f"ada.{network}" for network in Network}
    for network, handle in made.items():
        simulation.add_upstream(network, handle)
    return made


@hypothesis.settings(max_examples=25)
@hypothesis.given(days=failing_days)
def test_no_sequence_of_failures_changes_what_a_talent_shows(
    simulation: Simulation,
    handles: dict[Network, str],
    days: list[tuple[dict[Network, Situation], timedelta, bool]],
) -> None:
    talent_id = _talent_with_three_pictures(simulation, handles)
    shown = simulation.shown(talent_id)
    owned = _owned(simulation, talent_id)
    assert all(owned.values())
    for situations, passes, force in days:
        simulation.clock.advance(passes)
        for network, situation in situations.items():
            simulation.world.upload_new_picture(network, handles[network])
            _let_happen(simulation, network, handles[network], situation)
        _sync(simulation, talent_id, force=force)
        assert simulation.shown(talent_id) == shown, situations
        assert _owned(simulation, talent_id) == owned, situations
    _let_everything_be_well(simulation, handles)
    simulation.clock.advance(4 * DAY)
    for network, handle in handles.items():
        simulation.reconnect(f"{talent_id}-{network}", network, handle)
    # By hand: bytes that were refused are not downloaded again by themselves within the week.
    _sync(simulation, talent_id, force=True)
    renewed = _owned(simulation, talent_id)
    assert all(renewed[network] not in {None, owned[network]} for network in Network), "it recovers"
    assert simulation.shown(talent_id) == (
        "instagram",
        f"http://pictures.example/images/{renewed['instagram']}/256.webp",
    )
    simulation.delete_talent(talent_id)


def _talent_with_three_pictures(simulation: Simulation, handles: dict[Network, str]) -> str:
    """Connect all networks at a time when all is well; TikTok's tokens die within hours, so that refreshes fail too."""
    _let_everything_be_well(simulation, handles)
    simulation.clock.advance(4 * DAY)
    talent_id = f"talent-{next(_numbers)}"
    simulation.add_talent(talent_id)
    for network, handle in handles.items():
        simulation.connect(talent_id, network, handle)
    _sync(simulation, talent_id)
    return talent_id


def _let_happen(simulation: Simulation, network: Network, handle: str, situation: Situation) -> None:
    """Let it be the matter with the account, or with the whole platform where only that can have it."""
    if situation in (Situation.KEY_INVALID, Situation.API_NOT_ENABLED):
        simulation.world.set_platform_situation(_APIS[network], situation)
    else:
        simulation.world.set_platform_situation(_APIS[network], Situation.OK)
        simulation.world.set_situation(network, handle, situation)


def _let_everything_be_well(simulation: Simulation, handles: dict[Network, str]) -> None:
    for network, handle in handles.items():
        simulation.world.set_platform_situation(_APIS[network], Situation.OK)
        simulation.world.set_situation(network, handle, Situation.OK)


def _sync(simulation: Simulation, talent_id: str, *, force: bool = False) -> None:
    simulation.sync(talent_id, minimum_hours=DAILY_MINIMUM_HOURS, force=force)


def _owned(simulation: Simulation, talent_id: str) -> dict[str, str | None]:
    return {network: simulation.ledger(f"{talent_id}-{network}")["picture_hash"] for network in Network}
