"""Who gets which command, when: the map's side of all agents.

It has no loop, no connection and no clock of its own, so that a simulation of a thousand agents runs this code. Its owner
says what happens, and asks every now and then what time has brought (`tick`).

The rules:

 - an agent has about a second's work in hand, at least as many commands as it runs at a time; more follow when a quarter is
   done.
 - where nothing is left to be given, those who have nothing to do get what others have not started.
 - a command is given again only when its agent has said that it was not started, or is lost: its lease is over.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from .ledger import Ledger
from .messages import DONE, UNSTARTED

if TYPE_CHECKING:
    from .job import Job
    from .lease import Terms
    from .link import Link
    from .messages import Message, Report
    from .owner import Listener, Transport

__all__ = ["Dispatcher"]

_HORIZON = 1.0  # seconds of work that an agent has in hand
_QUESTIONS = 4  # in an agent's lease: the map writes to it at least so often
_INTERVAL_EACH, _SHORTEST, _LONGEST = 0.002, 0.1, 0.4  # seconds between two reports: the more agents the longer


class Dispatcher:
    """Of one map."""

    def __init__(self, transport: Transport, listener: Listener, terms: Terms, most_lost: int) -> None:
        """`most_lost`: with how many lost workers a command is given up."""
        self._transport = transport
        self._listener = listener
        self._terms = terms
        self._ledger = Ledger(most_lost)
        self._links: dict[str, Link] = {}
        self._workers: dict[str, None] = {}
        self._room: dict[str, int] = {}  # of links that are to be given more
        self._free = 0  # room in all
        self._is_dry = False  # the source gives nothing now
        self._is_stopped = False
        self._next_look = 0.0

    @property
    def horizon(self) -> float:
        """For how many seconds an agent is to have work."""
        return _HORIZON

    @property
    def links(self) -> list[Link]:
        return [*self._links.values()]

    @property
    def is_idle(self) -> bool:
        """Whether every command that was taken has its result."""
        return self._ledger.is_empty

    @property
    def in_reach(self) -> int:
        """How many commands all agents are to have in hand together."""
        return sum(link.pace.target for link in self._links.values() if not link.is_leaving)

    # ---- commands -----------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> int:
        """How many commands there is a place for."""
        return 0 if self._is_stopped else max(0, self._free - self._ledger.waiting)

    def add(self, job: Job) -> None:
        """A command, from the source."""
        self._ledger.add(job)

    def dispatch(self, now: float, *, is_dry: bool) -> None:
        """Gives away what there is. `is_dry`: there is nothing more to be had now."""
        self._is_dry = is_dry
        if self._ledger.lonely:
            self._give_alone(now)
        if self._ledger.waiting > self._ledger.lonely:
            for name in [*self._room]:
                self._give(self._links[name], now)
                if self._ledger.waiting == self._ledger.lonely:
                    break
        if is_dry and self._room and not self._ledger.waiting and now >= self._next_look:
            self._share_out(now)

    def _give(self, link: Link, now: float) -> None:
        room = link.room
        suspects = link.capacity - link.suspects if self._ledger.waiting else 0
        orders = self._ledger.orders(room, suspects, link.worker, self._workers)
        if orders:
            self._order(link, orders, now)

    def _order(self, link: Link, orders: list[Any], now: float) -> None:
        suspects = {order.attempt for order in orders if self._ledger.is_suspect(order.attempt)}
        link.order(orders, suspects, now)
        self._send_orders(link)

    def _send_orders(self, link: Link) -> None:
        message = link.orders_to_send()
        self._look(link)
        self._transport.send(link, message)

    def _give_alone(self, now: float) -> None:
        """Commands that have to be alone get an agent that has nothing; one is kept free for each that finds none."""
        ready = [link for link in self._links.values() if not link.is_leaving and not link.is_alone]
        for link in ready:
            if link.in_hand or link.ordering is not None:
                continue
            orders = self._ledger.lonely_order(link.worker, self._workers)
            if orders:
                link.is_reserved, link.is_alone = False, True
                self._order(link, orders, now)
        busy = [link for link in ready if not link.is_alone]
        missing = self._ledger.lonely - sum(link.is_reserved for link in busy)
        others = [link for link in busy if not link.is_reserved]
        for link in sorted(others, key=lambda link: len(link.in_hand))[: max(0, missing)]:
            link.is_reserved = True
            self._look(link)
            self._withdraw_all(link)
        if not self._ledger.lonely:
            for link in busy:
                if link.is_reserved:
                    link.is_reserved = False
                    self._look(link)

    def _share_out(self, now: float) -> None:
        """Agents that have nothing to do get what others have not started."""
        free = sum(self._links[name].capacity - len(self._links[name].in_hand) for name in self._room if self._is_free(name))
        if free <= 0:
            return
        laden = [link for link in self._links.values() if link.ahead > 0 and link.ordering is None and not link.withdrawing]
        if not laden:
            self._next_look = now + 0.02
        for link in heapq.nlargest(len(self._room), laden, key=lambda link: link.ahead):
            count = min(free, (link.ahead + 1) // 2)
            link.withdraw(count)
            self._send_orders(link)
            free -= count
            if free <= 0:
                break

    def _is_free(self, name: str) -> bool:
        return self._links[name].is_free

    def _look(self, link: Link) -> None:
        """How much room it has, once more."""
        room = link.room
        self._free += room - self._room.pop(link.name, 0)
        if room:
            self._room[link.name] = room

    # ---- agents -------------------------------------------------------------------------------------------------------

    def joined(self, link: Link) -> None:
        """An agent has opened its session."""
        self._links[link.name] = link
        self._workers[link.worker] = None
        self._look(link)
        self._ask(link)

    def leaving(self, link: Link, now: float) -> None:
        """An agent is to be given nothing more, and to give back what it has not started."""
        link.is_leaving = True
        self._look(link)
        self._release(link, now)

    def answered(self, link: Link, message: Message, report: Report, now: float) -> None:
        """An agent has answered a message."""
        if link.name not in self._links:
            return
        if message.turn:
            link.is_sending = False
            if link.ordering is not None and link.ordering.turn == message.turn:
                link.ordering = None
        else:
            link.is_asking = False
            link.withdrawing = 0
        for attempt, kind, value in link.answered(report, now):
            self._entered(link, attempt, kind, value)
        if report.is_over:
            if report.fault is not None:
                self._listener.faulty(report.fault)
            self._over(link)
            return
        if self._is_stopped:
            self._withdraw_all(link)
        link.is_leaving = link.is_leaving or report.is_leaving
        self._look(link)
        if not link.is_asking and not link.holds_back:
            self._ask(link)
        self._release(link, now)

    def _entered(self, link: Link, attempt: int, kind: str, value: Any) -> None:
        if kind == DONE:
            job = self._ledger.ended(attempt)
            if job is not None:
                self._listener.ended(job, link, value)
        elif kind == UNSTARTED and self._is_stopped:
            job = self._ledger.ended(attempt)
            if job is not None:
                self._listener.dropped(job)
        elif kind == UNSTARTED:
            self._ledger.unstarted(attempt)
        else:
            job = self._ledger.job(attempt)
            if job is not None:
                self._listener.line(job, link, value)

    def failed(self, link: Link, message: Message, now: float) -> None:
        """A message has had no answer."""
        if link.name not in self._links:
            return
        if message.turn:
            link.is_sending = False
        else:
            link.is_asking = False
        link.failed(now)
        self._look(link)

    def go_on(self, link: Link) -> None:
        """The lines that it has reported are handled."""
        link.holds_back = False
        if link.name in self._links and not link.is_asking:
            self._ask(link)

    def tick(self, now: float) -> None:
        """Looks at what time has brought: leases that are over, messages to be sent again."""
        for link in self.links:
            if link.lease.is_over(now):
                self._over(link)
            elif now >= link.retry_at:
                if link.ordering is not None and not link.is_sending:
                    self._send_orders(link)
                if not link.is_asking:
                    self._ask(link)
                self._release(link, now)

    def _ask(self, link: Link) -> None:
        interval = min(_LONGEST, max(_SHORTEST, _INTERVAL_EACH * len(self._links)))
        self._transport.send(link, link.question(self._terms.of_agent / _QUESTIONS, interval))

    def _over(self, link: Link) -> None:
        """It is lost, and all that it ran has ended."""
        self._remove(link)
        attempts = [*link.in_hand]
        link.in_hand.clear()
        if self._is_stopped:
            for attempt in attempts:
                job = self._ledger.ended(attempt)
                if job is not None:
                    self._listener.dropped(job)
            return
        for job in self._ledger.lost(attempts, link.worker):
            self._listener.given_up(job)

    def _release(self, link: Link, now: float) -> None:
        """One that leaves goes when it has nothing any more."""
        if link.is_leaving and link.name in self._links:
            if not link.in_hand and link.ordering is None:
                self._remove(link)
            elif now >= link.retry_at:
                self._withdraw_all(link)

    def _remove(self, link: Link) -> None:
        link.is_leaving = True
        self._look(link)
        del self._links[link.name]
        if all(other.worker != link.worker for other in self._links.values()):
            self._workers.pop(link.worker, None)
        self._transport.forget(link)

    # ---- the end ------------------------------------------------------------------------------------------------------

    def stop(self, *, at_once: bool = False) -> None:
        """Nothing is given away any more; what was not started will have no result, and `at_once`, what runs neither."""
        self._is_stopped = True
        for job in self._ledger.drop(out=at_once):
            self._listener.dropped(job)
        for link in self.links:
            self._withdraw_all(link)

    def _withdraw_all(self, link: Link) -> None:
        if link.ahead and link.ordering is None and not link.withdrawing:
            link.withdraw(len(link.in_hand))
            self._send_orders(link)
