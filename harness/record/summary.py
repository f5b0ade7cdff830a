"""The files that sum a finished journal up, so that nobody has to walk through it.

`sut.json`, `conditions.json` and `meters.json` say nothing that the journal does
not say; they are written once, when the run has ended.
"""

from collections.abc import Mapping
from typing import Any

from harness.domain.plan import Plan
from harness.record.layout import (
    CONDITIONS,
    CONDITIONS_FORMAT,
    METERS,
    METERS_FORMAT,
    SUT,
    SUT_FORMAT,
    form_bytes,
)
from harness.record.story import Story
from harness.schema.codec import to_plain


def summaries(story: Story, plan: Plan) -> Mapping[str, bytes]:
    """Give file name → bytes of the three summaries."""
    reached = {
        attempt.trial: to_plain(attempt.conditions)
        for attempt in story.attempts.values()
    }
    suts = {address: to_plain(sut) for address, sut in story.suts.items()}
    return {
        SUT: form_bytes(SUT_FORMAT, {"suts": suts}),
        CONDITIONS: form_bytes(
            CONDITIONS_FORMAT,
            {"asked": to_plain(plan.profile.conditions), "reached": reached},
        ),
        METERS: form_bytes(METERS_FORMAT, {"channels": _channels(story)}),
    }


def _channels(story: Story) -> list[Any]:
    uses = {
        trace.use
        for attempt in story.attempts.values()
        for trace in attempt.traces
        if trace.use is not None
    }
    return [to_plain(use) for use in sorted(uses, key=repr)]
