"""The report: one HTML page without script, in Chinese, English or both.

The page holds everything that it shows (styles, charts) and asks nobody for
anything: it opens from an e-mail on a machine without network, prints to A4, and
carries the Content-Security-Policy that proves it.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.domain.assessment import Assessment
from harness.domain.record import RunRecord
from harness.domain.requirement import TierSet
from harness.report import quantities
from harness.report.view import report_view
from harness.report.words import Language, Words

__all__ = ["Language", "render"]

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page asks of a browser: no script, nothing from anywhere else."""


def render(
    record: RunRecord,
    assessment: Assessment,
    tier_set: TierSet,
    *,
    language: Language,
) -> bytes:
    """Make the page as UTF-8 bytes; the same input gives the same bytes.

    A record whose figures are not all measured on the device carries the watermark
    on every page, whoever calls: there is no argument that leaves it out.
    """
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            t=Words(language),
            language=language,
            record=record,
            plan=record.plan,
            assessment=assessment,
            grade=assessment.grade,
            tier_set=tier_set,
            view=report_view(record, assessment, tier_set),
            policy=CONTENT_SECURITY_POLICY,
        )
    )
    return page.encode("utf-8")


def css_string(text: str) -> Markup:
    r"""Write text as a CSS string in which nothing can end the string or the style.

    Everything but letters, digits and spaces is written as a code point (CSS
    Syntax Level 3, 4.3.7).

    >>> css_string('a"b</style>')
    Markup('"a\\22 b\\3c \\2f style\\3e "')
    """
    safe = (
        char if char.isalnum() or char == " " else f"\\{ord(char):x} " for char in text
    )
    return Markup('"{}"').format(Markup("".join(safe)))  # noqa: S704 - escaped above


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bounds": quantities.bounds_text,
        "count": quantities.count,
        "css_string": css_string,
        "exact_number": quantities.exact_number,
        "exactly": quantities.exactly,
        "estimate": quantities.estimate_text,
        "finding_value": quantities.named_value,
        "in_unit": quantities.in_unit,
        "number": quantities.number,
        "printed_unit": quantities.printed_unit,
        "probability": quantities.probability,
        "quantity": quantities.quantity,
    }
    return environment
