"""The table of a process's states keeps the promises that its head makes. No process is started here."""

from collections.abc import Iterator

import pytest
from lifecycle_diagram import LAST, diagram

from aiospawn._asyncio.lifecycle import TRANSITIONS, Call, Happening, State


def walks(state: State = State.LAUNCHING) -> Iterator[tuple[list[State], list[Call]]]:
    """Every way through the table: the states passed and the calls made."""
    following = [(happening, *TRANSITIONS[state, happening]) for happening in Happening if (state, happening) in TRANSITIONS]
    if not following:
        yield [state], []
    for _, target, calls in following:
        for states, later in walks(target):
            yield [state, *states], [*calls, *later]


def test_every_state_is_reached() -> None:
    """No state is there for nothing."""
    assert {state for states, _ in walks() for state in states} == set(State)


def test_every_walk_ends() -> None:
    """A process ends finished or failed, and nothing moves it on from there."""
    assert {states[-1] for states, _ in walks()} == LAST
    assert all(len(states) == len(set(states)) for states, _ in walks())


def test_each_call_is_made_once() -> None:
    """A process that ran makes each call exactly once: `connection_made` first, `connection_lost` last."""
    ran = [calls for states, calls in walks() if states[-1] is State.FINISHED]
    assert ran
    for calls in ran:
        assert sorted(calls, key=list(Call).index) == list(Call)
        assert calls[0] is Call.CONNECTION_MADE
        assert calls[-1] is Call.CONNECTION_LOST


def test_a_failed_launch_makes_no_call() -> None:
    """The protocol of a program that could not be run never hears of it."""
    assert [calls for states, calls in walks() if states[-1] is State.FAILED] == [[]]


@pytest.mark.parametrize("happening", Happening)
def test_nothing_happens_twice(happening: Happening) -> None:
    """What has happened to a process moves it no second time."""
    for (state, first), (target, _) in TRANSITIONS.items():
        if first is happening:
            assert (target, happening) not in TRANSITIONS, state


@pytest.mark.parametrize(("state", "happening"), TRANSITIONS)
def test_the_diagram_has_every_transition(state: State, happening: Happening) -> None:
    """The diagram of the documentation is drawn from the table."""
    target, calls = TRANSITIONS[state, happening]
    arrow = f"{state.name} --> {target.name}: {happening.name}"
    lines = [line.strip() for line in diagram().splitlines() if line.strip().startswith(arrow)]
    assert len(lines) == 1
    assert all(call.value in lines[0] for call in calls)
