"""The guarantees, on clusters that are computed: seeded runs, each the same every time."""

from __future__ import annotations

import random

import pytest
from cluster_simulation import Plan, Simulation

pytestmark = pytest.mark.once

TROUBLE = Plan(lost=0.02, deaths=2, stops=2, cuts=2, leaves=1)


@pytest.mark.parametrize("seed", range(30))
def test_trouble(seed: int) -> None:
    """Messages are lost or late, workers die, stand still, are cut off, retire: each command ends once, none runs twice."""
    chance = random.Random(seed)
    plan = TROUBLE._replace(
        agents=chance.randint(1, 12), capacity=chance.randint(1, 4), duration=chance.choice([0.02, 0.3, 3])
    )
    simulation = Simulation(plan, seed)
    simulation.run()
    assert len(simulation.results) == plan.commands


@pytest.mark.parametrize("seed", range(20))
def test_death_of_the_client(seed: int) -> None:
    """One lease later nothing runs."""
    plan = TROUBLE._replace(duration=5.0)
    Simulation(plan, seed).run_until_client_dies(random.Random(seed).uniform(0, 40))


def test_same_every_time() -> None:
    """A run is a function of its seed."""
    one, other = Simulation(TROUBLE, 7), Simulation(TROUBLE, 7)
    one.run()
    other.run()
    assert (one.now, one.results, one.messages) == (other.now, other.results, other.messages)


@pytest.mark.parametrize("seed", range(10))
def test_commands_that_kill_their_workers(seed: int) -> None:
    """They are given up, and no command beside them is."""
    plan = Plan(agents=4, commands=400, duration=0.05, killers=(30, 31, 200))
    simulation = Simulation(plan, seed)
    simulation.run()
    assert {number for number, what in simulation.results.items() if what == "given up"} == {*plan.killers}


def test_no_lease_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the map took a silent agent for a lost one too early, a command would run twice, and the simulation see it."""
    monkeypatch.setattr("aiospawn._cluster.lease.Lease.is_over", lambda lease, now: now >= lease.until - 0.7 * 10)

    def some() -> None:
        for seed in range(30):
            Simulation(TROUBLE._replace(duration=3.0), seed).run()

    with pytest.raises(AssertionError, match="runs at"):
        some()


def test_efficiency() -> None:
    """A hundred agents, of which some die: nearly all of their time is work."""
    plan = Plan(agents=100, capacity=1, commands=5000, duration=2.0, is_even=True, failing=0.01)
    simulation = Simulation(plan, 1)
    simulation.run()
    assert simulation.efficiency >= 0.9
