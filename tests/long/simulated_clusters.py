"""Clusters that are computed, by the thousand: `python tests/long/simulated_clusters.py --runs 10000`.

Each run is a cluster with trouble, or one whose client dies, by its seed; then come a thousand agents of which one in a
hundred fails. It prints what was found, and fails at the first run that breaks a guarantee.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support")]

from cluster_simulation import Plan, Simulation


def trouble(seed: int) -> Simulation:
    """One run, which ends well or raises AssertionError."""
    chance = random.Random(seed)
    plan = Plan(
        agents=chance.randint(1, 16), capacity=chance.randint(1, 4), commands=chance.randint(1, 300),
        duration=chance.choice([0.02, 0.3, 3]), latency=chance.choice([0.001, 0.02, 0.3]),
        lost=chance.choice([0, 0.02, 0.2]),
        deaths=chance.choice([0, 1, 4]), stops=chance.choice([0, 1, 4]), cuts=chance.choice([0, 1, 4]),
        leaves=chance.choice([0, 2]), lease=chance.choice([2, 10]),
    )  # fmt: skip
    simulation = Simulation(plan, seed)
    if seed % 4:
        simulation.run()
    else:
        simulation.run_until_client_dies(chance.uniform(0, 30))
    return simulation


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--agents", type=int, default=1000)
    options = parser.parse_args()
    commands = given_up = 0
    for seed in range(options.first, options.first + options.runs):
        try:
            simulation = trouble(seed)
        except Exception as error:
            raise SystemExit(f"seed {seed}: {error}") from error
        commands += len(simulation.results)
        given_up += sum(what == "given up" for what in simulation.results.values())
    print(f"{options.runs} runs, {commands} commands, {given_up} of them given up: none ran twice at a time, none outlived")
    agents = options.agents
    plan = Plan(agents=agents, capacity=1, commands=50 * agents, duration=2.0, is_even=True, failing=0.01, latency=0.01)
    simulation = Simulation(plan, options.first)
    simulation.run()
    print(
        f"{agents} agents, 1 % fail, {plan.commands} commands of {plan.duration} s: efficiency {simulation.efficiency:.3f}, "
        f"{simulation.messages / plan.commands:.2f} messages a command, {simulation.now:.0f} s"
    )


if __name__ == "__main__":
    main()
