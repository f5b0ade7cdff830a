"""One agent process on this machine, from its start to its end, whatever that is."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.clock import Clock, Deadline
from harness.domain.query import (
    LinkEvent,
    Outcome,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
)
from harness.domain.reading import ReadingBlock
from harness.errors import LinkClosed, LinkError, LinkTimeout
from harness.links.pipe import ChildLink, spawn
from harness.loadgen.transcript import Hello
from harness.loadgen.wire import Order, encode_order
from harness.meters.kernel import keep_to
from harness.targets.apart import memory_limit_bytes, oom_kills
from harness.targets.conversation import Conversation, Tick, outcome_of_exit
from harness.units import NS_PER_S

COMMAND = (sys.executable, "-P", "-m", "harness.agent")
"""-P: a file in the working directory never shadows a module."""
_EXIT_S = 5.0
_READINGS_EVERY_NS = 2 * NS_PER_S
_NEAR_LIMIT = 0.9
"""A process killed with this share of all memory resident was killed for memory."""


class Sampler(Protocol):
    """What reads a process from outside while it lives."""

    def take(self) -> tuple[ReadingBlock, ...]:
        """Give the readings since the last call, one block a channel."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how an agent lives on this machine."""

    clock: Clock
    environment: dict[str, str]
    model_cores: frozenset[int]
    sampled: Callable[[int], AbstractContextManager[Sampler]]
    """Samples the process of that number while the context is open."""
    silence_s: float
    """An agent that says nothing for longer hangs."""
    command: tuple[str, ...] = COMMAND
    oom_kills: Callable[[], int | None] = oom_kills
    """Counts processes that the kernel has killed for memory."""


def live(order: Order, place: Place) -> Generator[LinkEvent, None, None]:
    """Start an agent, have it carry the order out, and end it; yields its events.

    Every ending becomes a TrialEnded, which is the last event: a crash, a hang, a kill
    for memory, a Ctrl-C while this waits. The order is stamped with the instant just
    before the start. Closing the generator ends the agent.
    """
    kills = place.oom_kills()
    order = replace(order, spawned_ns=place.clock.now_ns())
    with spawn(place.command, place.environment, name="agent") as link:
        keep_to(link.pid, place.model_cores)
        with place.sampled(link.pid) as sampler:
            talk = Conversation(link, place.clock, silence_s=place.silence_s)
            watch = _Watch(order, place.clock, sampler)
            try:
                talk.ask(encode_order(order))
                yield from watch.follow(talk)
            except LinkTimeout as error:
                watch.end(Outcome.HUNG, str(error))
                link.kill()
            except LinkClosed:
                watch.end(*_autopsy(link, place, kills, watch.peak_rss))
            except LinkError as error:
                watch.end(Outcome.CRASHED, str(error))
                link.kill()
            except KeyboardInterrupt:
                link.kill()
                yield from watch.rest(talk)
                watch.end(Outcome.INTERRUPTED, "Ctrl-C")
        yield from watch.readings()
    yield watch.ended


@dataclass(slots=True)
class _Watch:
    """What was seen of an agent so far."""

    order: Order
    clock: Clock
    sampler: Sampler
    queries: int = 0
    peak_rss: float = 0.0
    ended: TrialEnded = field(init=False)
    taken_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.taken_ns = self.clock.now_ns()
        self.end(Outcome.CRASHED, "The agent was done without saying how it ended")

    def follow(self, talk: Conversation) -> Iterator[LinkEvent]:
        """Yield events, with readings between them; TrialEnded is kept back."""
        for heard in talk.answers():
            match heard:
                case TrialEnded():
                    self.ended = heard
                case Hello() | Tick():
                    pass
                case QueryBlock():
                    self.queries += len(heard.completed_ns)
                    yield heard
                case _:
                    yield heard
            if self.clock.now_ns() - self.taken_ns > _READINGS_EVERY_NS:
                yield from self.readings()

    def rest(self, talk: Conversation) -> Iterator[LinkEvent]:
        """Yield what was said before the agent was killed and is not yet heard."""
        try:
            yield from self.follow(talk)
        except LinkError:
            return  # its output ends somewhere; that is what a kill does

    def readings(self) -> Iterator[ReadingsTaken]:
        """Yield what the sampler has read since the last time."""
        self.taken_ns = self.clock.now_ns()
        for block in self.sampler.take():
            if block.channel.name == "rss":
                self.peak_rss = max(self.peak_rss, *block.values)
            yield ReadingsTaken(trial=self.order.trial.id, block=block)

    def end(self, outcome: Outcome, reason: str) -> None:
        """Settle how the trial ended."""
        self.ended = TrialEnded(
            trial=self.order.trial.id,
            outcome=outcome,
            queries=self.queries,
            reason=reason,
        )


def _autopsy(
    link: ChildLink, place: Place, kills: int | None, peak_rss: float
) -> tuple[Outcome, str]:
    status = link.exit_status(Deadline.after(_EXIT_S, place.clock))
    now = place.oom_kills()
    was_killed = kills is not None and now is not None and now > kills
    is_near = peak_rss >= _NEAR_LIMIT * memory_limit_bytes()
    return outcome_of_exit(
        status, link.last_words(), was_short_of_memory=was_killed or is_near
    )
