"""The whole error tree: what happened, where, and what to do about it.

::

    HarnessError                code · what · where · remedy · is_transient
    ├─ UsageError               exit 2  the person at the keyboard can put it right
    │  ├─ SchemaError                   a file that does not say what it may say
    │  ├─ UnknownName                   no such device, model, workload, tier
    │  ├─ ModelRejected                 a model file that cannot or may not be run
    │  └─ Unsupported                   this target or runtime cannot do it
    ├─ EquipmentError           exit 3  something on the bench
    │  ├─ LinkError                     LinkTimeout*  LinkClosed*
    │  ├─ TargetError                   DeployMismatch ConditionNotReached AgentDied*
   │  │                                ConditionNotPutBack StillAtWork*
    │  ├─ MeterError                    OverRange  ReadingsLost  NotCalibrated
    │  │                                SupplyChanged  ReaderDied*
    │  └─ StorageError                  the record cannot be written
    ├─ EvidenceError            exit 4  a record cannot be relied on
    │  ├─ DigestMismatch  SignatureInvalid  RecordTruncated
    │  └─ Unverifiable                  the check itself could not be done
    ├─ Interrupted              exit 130 the person stopped it; what there is, is kept
    └─ (anything else is a bug) exit 70 traceback, and where to report it
       * is_transient is True: trying again may help; nothing retries by itself
         inside a measured window

A verdict is not an error: a missed tier, a regression or a rejected applicant is
an answer, with an exit code of its own (`ExitCode`).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command's exit status means."""

    OK = 0
    """Yes: carried out; or the gate was met."""
    NO = 1
    """No: tier missed, regression found, applicant rejected."""
    USAGE = 2
    EQUIPMENT = 3
    EVIDENCE = 4
    NO_ANSWER = 5
    """The run is invalid, or the gate could not be determined."""
    BUG = 70
    INTERRUPTED = 130


class HarnessError(Exception):
    """An error that a person is told about in one sentence.

    `what` happened, `where` (file, device, place in it) and `remedy` (what to do).
    """

    code: ClassVar[str] = "harness"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    is_transient: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """Give *what (where). What to do.* as one line of text."""
        place = f" ({self.where})" if self.where else ""
        advice = f" {self.remedy}" if self.remedy else ""
        return f"{self.what.rstrip('.')}{place}.{advice}"


class UsageError(HarnessError):
    """The person at the keyboard can put this right."""

    code = "usage"
    exit_code = ExitCode.USAGE


class SchemaError(UsageError):
    """A written file does not say what it may say."""

    code = "schema"


class UnknownName(UsageError):
    """A name that nothing here answers to, with the nearest names that do."""

    code = "unknown-name"

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str = ""
    ) -> None:
        self.known = tuple(sorted(known))
        self.near = tuple(get_close_matches(name, self.known, n=3, cutoff=0.5))
        if self.near:
            remedy = "Did you mean " + " or ".join(f"'{n}'" for n in self.near) + "?"
        else:
            remedy = f"Known: {', '.join(self.known) or 'none'}."
        super().__init__(f"There is no {kind} '{name}'", where=where, remedy=remedy)


class ModelRejected(UsageError):
    """A model file that cannot be run, or may not be."""

    code = "model-rejected"


class Unsupported(UsageError):
    """This target, meter or runtime cannot do what the plan asks."""

    code = "unsupported"


class EquipmentError(HarnessError):
    """Something on the bench failed."""

    code = "equipment"
    exit_code = ExitCode.EQUIPMENT


class LinkError(EquipmentError):
    """A link to a device failed."""

    code = "link"


class LinkTimeout(LinkError):
    """Nothing came over a link within its deadline."""

    code = "link-timeout"
    is_transient = True


class LinkClosed(LinkError):
    """The other end of a link went away."""

    code = "link-closed"
    is_transient = True


class TargetError(EquipmentError):
    """A device that runs models failed."""

    code = "target"


class DeployMismatch(TargetError):
    """The digest read back from the device is not that of the model sent."""

    code = "deploy-mismatch"


class ConditionNotReached(TargetError):
    """A required condition (temperature, governor …) was not reached."""

    code = "condition-not-reached"


class ConditionNotPutBack(TargetError):
    """What was set on a device for a run could not be put back."""

    code = "condition-not-put-back"


class StillAtWork(TargetError):
    """The device executes the run that was to be collected from it."""

    code = "still-at-work"
    is_transient = True


class AgentDied(TargetError):
    """The process beside the model ended without its last word."""

    code = "agent-died"
    is_transient = True


class MeterError(EquipmentError):
    """An instrument failed or cannot be believed."""

    code = "meter"


class OverRange(MeterError):
    """A reading beyond what the instrument can measure."""

    code = "over-range"


class ReadingsLost(MeterError):
    """Readings known to be missing."""

    code = "readings-lost"


class NotCalibrated(MeterError):
    """An instrument whose constants or calibration are missing."""

    code = "not-calibrated"


class SupplyChanged(MeterError):
    """What feeds the device is not what it was: a charger was plugged in."""

    code = "supply-changed"


class ReaderDied(MeterError):
    """The process that reads a meter ended without being told to."""

    code = "reader-died"
    is_transient = True


class StorageError(EquipmentError):
    """The record cannot be written any further."""

    code = "storage"


class EvidenceError(HarnessError):
    """A record cannot be relied on."""

    code = "evidence"
    exit_code = ExitCode.EVIDENCE


class DigestMismatch(EvidenceError):
    """A file of a record is not the file that its digest names."""

    code = "digest-mismatch"


class SignatureInvalid(EvidenceError):
    """A signature does not belong to what it signs."""

    code = "signature-invalid"


class RecordTruncated(EvidenceError):
    """A record ends before its end."""

    code = "record-truncated"


class Unverifiable(EvidenceError):
    """The check itself could not be done: neither good nor bad is known."""

    code = "unverifiable"


class Interrupted(HarnessError):
    """The person at the keyboard stopped the command."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED
