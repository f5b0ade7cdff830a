"""Whether a bundle still says what it said when it was written.

First the bytes (journal chain, manifest), then what they say about each other
(plan, traces, models, order), then whether the figures can be (a query that
completes before it is issued cannot), then whether the record is whole. A stage is
looked at only where the one before found nothing, since what follows from a fault
is no second fault.

The manifest has no digest of its own unless it is signed, so it has to be in its
canonical form byte by byte. What nobody signs, anybody can write anew from end to
end: this finds damage and carelessness; a forger is found by a signature only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EvidenceError, RecordTruncated
from harness.record.agreement import (
    Account,
    account_of,
    agreement_faults,
    figure_faults,
)
from harness.record.integrity import ANEW, addition_faults, integrity_faults
from harness.record.layout import EVIDENCE, JOURNAL, MANIFEST
from harness.record.reader import require_bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that does not agree, as the error that it would be raised as."""

    code: str
    """Of the error: ``digest-mismatch``, ``record-truncated``, ``unverifiable``,
    or ``evidence`` where a record contradicts itself."""
    what: str
    where: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found in a bundle. Sound: no problem at all, so also complete."""

    problems: tuple[Problem, ...]
    """In order of importance; what only follows from an earlier one is not listed."""
    is_complete: bool
    trials_done: int
    trials_planned: int
    last_trial: str | None
    """The last trial that ended."""

    @property
    def is_sound(self) -> bool:
        """Say whether the bundle can be relied on."""
        return not self.problems


def verify(bundle: Path) -> Verification:
    """Check a bundle and list what does not agree. Raises nothing for a bad bundle."""
    found = tuple(_faults(bundle))
    account = _account(bundle)
    ended = _ended(account) if account else ()
    return Verification(
        problems=tuple(problem_of(error) for error in found),
        is_complete=account is not None and not tuple(_gaps(account, bundle)),
        trials_done=len(ended),
        trials_planned=len(account.plan.trials) if account else 0,
        last_trial=ended[-1] if ended else None,
    )


def problem_of(error: EvidenceError) -> Problem:
    """Give an error as one line of a list."""
    return Problem(
        code=error.code, what=error.what, where=error.where, remedy=error.remedy
    )


def require_sound(bundle: Path) -> None:
    """Raise the first thing that does not agree.

    DigestMismatch: bytes are not what was written. RecordTruncated: something is
    missing, with the trial at which the record ends. Unverifiable: the check could
    not be done. EvidenceError: the record contradicts itself.
    """
    for fault in _faults(bundle):
        raise fault


def require_intact(bundle: Path) -> None:
    """Raise the first thing that does not agree in what is there.

    A record that was cut short, but is good as far as it goes, passes.
    """
    for fault in _damage(bundle):
        raise fault


def _faults(bundle: Path) -> Iterator[EvidenceError]:
    is_intact = True
    for fault in _damage(bundle):
        is_intact = False
        yield fault
    if is_intact:
        yield from _gaps(account_of(bundle / EVIDENCE), bundle)


def _damage(bundle: Path) -> Iterator[EvidenceError]:
    evidence = bundle / EVIDENCE
    stages: tuple[Callable[[], Iterator[EvidenceError]], ...] = (
        lambda: _caught(lambda: integrity_faults(evidence)),
        lambda: _caught(lambda: addition_faults(bundle)),
        lambda: _caught(lambda: agreement_faults(account_of(evidence), bundle)),
        lambda: _caught(lambda: figure_faults(account_of(evidence))),
    )
    try:
        require_bundle(bundle)
    except EvidenceError as error:
        yield error
        return
    for stage in stages:
        is_clean = True
        for fault in stage():
            is_clean = False
            yield fault
        if not is_clean:
            return


def _caught(check: Callable[[], Iterator[EvidenceError]]) -> Iterator[EvidenceError]:
    """Let a check end by raising: then that is the last thing that it found."""
    try:
        yield from check()
    except EvidenceError as error:
        yield error


def _gaps(account: Account, bundle: Path) -> Iterator[EvidenceError]:
    """Yield what is missing at the end of a record, if anything is."""
    total, ended = len(account.plan.trials), _ended(account)
    has_manifest = (account.evidence / MANIFEST).is_file()
    is_closed = has_manifest and account.story.ended is not None
    if is_closed and len(ended) == total:
        return
    if account.story.broken_off is not None:
        what = f"The record ends inside trial {account.story.broken_off}"
    elif not ended:
        what = "The record ends before its first trial"
    elif len(ended) < total:
        what = f"The record ends after trial {ended[-1]}"
    else:
        what = "The record was not closed"
    yield RecordTruncated(
        f"{what}; {len(ended)} of {total} trials are whole",
        where=str(account.evidence / JOURNAL),
        remedy=ANEW
        if has_manifest
        else f"What was measured is kept. Go on: duanping run --resume {bundle}",
    )


def _ended(account: Account) -> tuple[str, ...]:
    attempts = account.story.attempts.values()
    return tuple(a.trial for a in attempts if a.ended is not None)


def _account(bundle: Path) -> Account | None:
    """Read plan and journal, where they can be read; why not is a problem listed."""
    try:
        return account_of(bundle / EVIDENCE)
    except EvidenceError:
        return None
