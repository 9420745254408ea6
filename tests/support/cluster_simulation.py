"""A cluster that is computed: the dispatcher and the agents' sessions are the real ones, time, network and commands are not.

A run is a function of its seed. It raises AssertionError where a command runs twice at a time, or goes on after its lease.
"""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._cluster.dispatcher import Dispatcher
from aiospawn._cluster.job import Job
from aiospawn._cluster.lease import Lease, Terms
from aiospawn._cluster.link import Link
from aiospawn._cluster.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiospawn._cluster.messages import Message, Report

__all__ = ["Plan", "Simulation"]

_TICK = 0.1
_RESTART = 3.0  # seconds until a worker that died is back
_TROUBLES = ("deaths", "stops", "cuts", "leaves")
_DEADLOCK = 36_000.0  # seconds after which a run is stuck


class Plan(NamedTuple):
    """What is simulated. Times are seconds; rates are of a hundred seconds of one agent."""

    agents: int = 5
    capacity: int = 2
    commands: int = 200
    duration: float = 0.3
    """Of a command, in the mean."""
    is_even: bool = False
    """Whether they are between the half and three halves of that; else a few take many times as long."""
    latency: float = 0.01
    lost: float = 0.0
    """The share of messages, and of answers, that are lost."""
    deaths: float = 0.0
    stops: float = 0.0
    cuts: float = 0.0
    leaves: float = 0.0
    killers: tuple[int, ...] = ()
    """Commands that kill their worker."""
    failing: float = 0.0
    """The share of agents that die once and stay away."""
    lease: float = 10.0
    drift: float = 0.01
    """By how much an agent's clock is wrong, at most."""


class _Agent:
    """A worker with its agent."""

    def __init__(self, simulation: Simulation, name: str, worker: str) -> None:
        self.simulation = simulation
        self.name = name
        self.worker = worker
        self.rate = 1 + simulation.random.uniform(-1, 1) * simulation.plan.drift
        self.offset = simulation.random.uniform(0, 1e6)
        self.session = Session(simulation.terms.of_agent, self.clock)
        self.running: dict[int, tuple[int, float]] = {}  # attempt: command, begin
        self.ends = 0  # how often everything has been ended: what was to come by then does not
        self.is_dead = self.is_stopped = self.is_cut = False
        self.asked: list[tuple[Message, float, Callable[[Any], None]]] = []
        self.reported = -1.0
        self.speed = simulation.random.uniform(0.5, 2.0)
        self._watch()

    @property
    def clock(self) -> float:
        return self.offset + self.simulation.now * self.rate

    def _watch(self) -> None:
        """The agent's own look at its lease, some time late."""
        left = (self.session.until - self.clock) / self.rate + self.simulation.random.uniform(0, 0.02)
        self.simulation.after(max(left, 0.001), self._look)

    def _look(self) -> None:
        if self.is_dead or self.is_stopped:
            return  # what wakes it looks
        if self.session.is_live(self.clock):
            self._watch()
        else:
            self.end_all()

    def end_all(self) -> None:
        self.ends += 1
        for number, _ in self.running.values():
            self.simulation.over(number, self)
        self.running.clear()

    def take(self, message: Message, answer: Callable[[Any], None]) -> None:
        self.session.take(message, self.clock)
        self.start()
        if not message.wait or self.session.is_over:
            if self.session.is_over:
                self.end_all()
            answer(self.session.report(self.clock, with_entries=message.wait > 0))
            return
        self.asked.append((message, self.simulation.now + message.wait, answer))
        self.simulation.after(message.wait, self.answer)
        self.answer()

    def answer(self) -> None:
        """Those questions that are to be answered now; as `_Running._until_news` has it."""
        if self.is_dead or self.is_stopped:
            return
        now, session = self.simulation.now, self.session
        if session.is_over:
            self.end_all()
        for question in [*self.asked]:
            message, deadline, answer = question
            due = self.reported + message.interval
            urgent = not session.queued and session.running < self.simulation.plan.capacity
            if session.is_over or now >= deadline or (session.has_news and (now >= due or urgent)):
                self.asked.remove(question)
                self.reported = now
                answer(session.report(self.clock, with_entries=True))
            elif session.has_news:
                self.simulation.after(due - now, self.answer)

    def start(self) -> None:
        simulation = self.simulation
        while len(self.running) < simulation.plan.capacity and not self.is_dead:
            order = self.session.next(self.clock)
            if order is None:
                return
            simulation.begun(order.number, self)
            self.running[order.attempt] = order.number, simulation.now
            seconds = simulation.durations[order.number] * self.speed
            simulation.after(seconds, lambda attempt=order.attempt, ends=self.ends: self._ended(attempt, ends))

    def _ended(self, attempt: int, ends: int) -> None:
        if self.ends != ends or self.is_dead:
            return
        number, _ = self.running[attempt]
        if number in self.simulation.plan.killers:
            self.die()
            return
        if self.is_stopped:  # the command has ended, and nobody is there to see it
            self.simulation.after(0.05, lambda: self._ended(attempt, ends))
            return
        del self.running[attempt]
        self.simulation.over(number, self)
        self.session.ended(attempt, number, 0)
        self.start()
        self.answer()

    def die(self) -> None:
        if not self.is_dead:
            self.end_all()
            self.is_dead = True
            del self.simulation.living[self.name]
            if self.worker not in self.simulation.gone:
                self.simulation.after(_RESTART, lambda: self.simulation.join(self.worker + "'"))

    def stop(self, seconds: float) -> None:
        """SIGSTOP: its commands go on until their inits see that it stands still."""
        if self.is_stopped:
            return
        self.is_stopped = True
        self.simulation.after(self.simulation.terms.of_init / self.rate, lambda ends=self.ends: self._starved(ends))
        self.simulation.after(seconds, self._go_on)

    def _starved(self, ends: int) -> None:
        if self.is_stopped and self.ends == ends and not self.is_dead:
            self.end_all()

    def _go_on(self) -> None:
        self.is_stopped = False
        self._look()
        self.answer()


class _Call:
    """A message, and its answer or the lack of one, whichever is first."""

    def __init__(self, simulation: Simulation, link: Link, message: Message) -> None:
        self.simulation = simulation
        self.link = link
        self.message = message
        self.agent = simulation.agents[link.name]
        self._is_open = True

    def arrived(self) -> None:
        if self.agent.is_stopped and not self.agent.is_dead:  # it stays in the socket's buffer
            self.simulation.after(0.05, self.arrived)
        elif not self.agent.is_dead:
            self.agent.take(self.message, lambda report: self.simulation.answer(self, report))

    def answered(self, report: Report | None) -> None:
        if self._is_open:
            self._is_open = False
            self.simulation.answered(self, report)

    def failed(self) -> None:
        self.answered(None)


class Simulation:
    """One run."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.random = random.Random(seed)
        self.terms = Terms(plan.lease)
        self.now = 0.0
        self.gone: set[str] = set()
        """Workers that do not come back."""
        one = (lambda: self.random.uniform(0.5, 1.5)) if plan.is_even else (lambda: self.random.expovariate(1) + 0.001)
        self.durations = [plan.duration * one() for _ in range(plan.commands)]
        self.results: dict[int, str] = {}
        self.busy = 0.0
        """Seconds of work that was not in vain."""
        self.messages = 0
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self.agents: dict[str, _Agent] = {}
        self.living: dict[str, _Agent] = {}
        self._links: dict[str, Link] = {}
        self._held: dict[int, _Agent] = {}  # who runs a command
        self._joining: set[str] = set()
        self._is_alive = True
        self._taken = 0
        self.dispatcher = Dispatcher(self, self, self.terms, 3)

    def after(self, seconds: float, event: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (self.now + max(0.0, seconds), next(self._order), event))

    # ---- the guarantee ------------------------------------------------------------------------------------------------

    def begun(self, number: int, agent: _Agent) -> None:
        other = self._held.get(number)
        assert other is None, f"command {number} runs at {other and other.name} and {agent.name} at {self.now}"
        self._held[number] = agent

    def over(self, number: int, agent: _Agent) -> None:
        assert self._held.pop(number) is agent

    # ---- what the dispatcher has in the real world --------------------------------------------------------------------

    def send(self, link: Link, message: Message) -> None:
        self.messages += 1
        call = _Call(self, link, message)
        if not self._is_lost(call.agent):
            self.after(self._latency(), call.arrived)
        self.after(message.wait + self.terms.of_agent / 2, call.failed)

    def answered(self, call: _Call, report: Report | None) -> None:
        """None: there is no answer."""
        if not self._is_alive:
            return
        if report is None:
            self.dispatcher.failed(call.link, call.message, self.now)
        else:
            self.dispatcher.answered(call.link, call.message, report, self.now)
        self.pull()

    def answer(self, call: _Call, report: Report) -> None:
        """On its way back."""
        if not self._is_lost(call.agent):
            self.after(self._latency(), lambda: call.answered(report))

    def _is_lost(self, agent: _Agent) -> bool:
        return agent.is_cut or self.random.random() < self.plan.lost

    def _latency(self) -> float:
        """Now and then a message is very late."""
        slow = self.random.random() < self.plan.lost
        return self.random.expovariate(1 / self.plan.latency) + (self.random.uniform(0, 2 * self.plan.lease) if slow else 0)

    def forget(self, link: Link) -> None:
        del self._links[link.name]

    def ended(self, job: Job, link: Link, outcome: Any) -> None:
        assert job.number not in self.results
        self.results[job.number] = "done"
        self.busy += self.durations[job.number] * self.agents[link.name].speed

    def line(self, job: Job, link: Link, line: Any) -> None:
        raise AssertionError("no lines are simulated")

    def given_up(self, job: Job) -> None:
        assert job.number not in self.results
        self.results[job.number] = "given up"

    def dropped(self, job: Job) -> None:
        raise AssertionError("the map was not stopped")

    def faulty(self, fault: BaseException) -> None:
        raise AssertionError(fault)

    # ---- the run ------------------------------------------------------------------------------------------------------

    def join(self, worker: str) -> None:
        """A worker is found, and its agent opens a session."""
        if not self._is_alive or worker in self._joining:
            return
        self._joining.add(worker)
        name = f"{worker}#{next(self._order)}"
        agent = self.agents[name] = self.living[name] = _Agent(self, name, worker)
        self._disturb(agent)
        stamp = agent.clock

        def opened() -> None:
            self._joining.discard(worker)
            if self._is_alive:
                lease = Lease(self.plan.lease, stamp, self.now)
                link = Link(name, worker, worker, self.plan.capacity, lease, self.dispatcher.horizon, self.now)
                self._links[name] = link
                self.dispatcher.joined(link)
                self.pull()

        self.after(self._latency(), opened)

    def pull(self) -> None:
        for _ in range(min(self.dispatcher.wanted, self.plan.commands - self._taken)):
            self.dispatcher.add(Job(self._taken, None, None, None))
            self._taken += 1
        self.dispatcher.dispatch(self.now, is_dry=self._taken == self.plan.commands)

    def _tick(self) -> None:
        if not self._is_alive:
            return
        self.dispatcher.tick(self.now)
        self.pull()
        present = {link.worker for link in self.dispatcher.links}
        for agent in [*self.living.values()]:
            if agent.worker not in present and self._can_join(agent):
                self.join(agent.worker)
        self.after(_TICK, self._tick)

    def _can_join(self, agent: _Agent) -> bool:
        return not (agent.is_stopped or agent.is_cut or agent.worker in self.gone)

    def _disturb(self, agent: _Agent) -> None:
        """From time to time something happens to it."""
        rates = self.plan[self.plan._fields.index("deaths") :][: len(_TROUBLES)]
        if any(rates):
            seconds = self.random.expovariate(sum(rates) / 100)
            (trouble,) = self.random.choices(_TROUBLES, rates)
            self.after(seconds, lambda: self._disturbed(agent, trouble))

    def _disturbed(self, agent: _Agent, trouble: str) -> None:
        if agent.is_dead or not self._is_alive:
            return
        span = self.random.uniform(0, 2 * self.plan.lease)
        if trouble == "deaths":
            agent.die()
        elif trouble == "stops":
            agent.stop(span)
        elif trouble == "cuts":
            agent.is_cut = True
            self.after(span, lambda: setattr(agent, "is_cut", False))
        elif self.random.random() < 0.5:  # the worker itself says that it closes
            agent.session.leave()
            agent.answer()
        elif agent.name in self._links:
            self.dispatcher.leaving(self._links[agent.name], self.now)
        self._disturb(agent)

    def _begin(self) -> None:
        for number in range(self.plan.agents):
            worker = f"worker {number}"
            self.join(worker)
            if self.random.random() < self.plan.failing:
                self.gone.add(worker)
                span = self.plan.commands * self.plan.duration / (self.plan.agents * self.plan.capacity)
                self.after(self.random.uniform(0, 0.8 * span), lambda worker=worker: self._die_all(worker))
        self._tick()

    def _die_all(self, worker: str) -> None:
        for agent in [*self.living.values()]:
            if agent.worker == worker:
                agent.die()

    def run(self) -> None:
        """Until every command has its result."""
        self._begin()
        while len(self.results) < self.plan.commands:
            assert self.now < _DEADLOCK, f"stuck with {self.plan.commands - len(self.results)} commands"
            self._step()

    def _step(self) -> None:
        self.now, _, event = heapq.heappop(self._events)
        event()

    def run_until_client_dies(self, when: float) -> None:
        """The client is killed; a lease later nothing runs any more."""
        self._begin()
        while self.now < when and len(self.results) < self.plan.commands:
            self._step()
        self._is_alive = False
        end = self.now + self.plan.lease
        while self._events and self._events[0][0] < end:
            self._step()
        assert not self._held, f"{len(self._held)} commands run a lease after the client's death"

    @property
    def efficiency(self) -> float:
        """Work that was not in vain, of what all agents could have done until the end."""
        return self.busy / (self.now * self.plan.agents * self.plan.capacity)
