"""Record → estimates → findings → grade: one pure line, walked by every verb alike.

`duanping run`, `grade` and `report` all come through here, so that the same record
gives the same answer whenever it is asked.
"""

from harness.domain.assessment import Assessment
from harness.domain.finding import validity_of
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.record import RunRecord
from harness.domain.requirement import TierSet
from harness.grading import award
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.laying import lay_over


def assess(record: RunRecord, tier_set: TierSet) -> Assessment:
    """Derive everything that is said about a record from the record alone.

    A record whose readings were laid over its trials' clocks before
    (`harness.stats.laying`) gives the same answer, only sooner.
    """
    record = lay_over(record)
    estimates, withheld = estimate(record)
    findings = find(record, estimates)
    validity = validity_of(findings)
    grade = award(
        tier_set,
        record.plan,
        estimates=estimates,
        withheld=withheld,
        validity=validity,
        origin=device_origin(record),
        findings=findings,
    )
    return Assessment(
        estimates=estimates,
        withheld=withheld,
        findings=findings,
        validity=validity,
        grade=grade,
    )


def device_origin(record: RunRecord) -> Origin:
    """Say what the figures of the device under test are: measured or emulated.

    A record that never reached its device has no figure to mistake; its address
    decides.
    """
    if not record.plan.is_timed:
        return Origin.EMULATED
    for trial in record.plan.trials:
        if trial.arm is Arm.DEVICE and trial.target in record.suts:
            return record.suts[trial.target].origin
    return Origin.EMULATED if record.plan.is_emulated else Origin.MEASURED
