import pytest

from harness.domain.requirement import TierSet
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.builders import a_record
from harness.testing.pages import Case, Page, as_measured


@pytest.fixture(scope="session")
def tier_set() -> TierSet:
    """Give the tier set that is shipped."""
    return load_tier_set(tier_set_path("2026.1"))


@pytest.fixture(scope="session")
def emulated(tier_set: TierSet) -> Case:
    """Give two workloads on an emulated wearable, with a host reference."""
    return Case.of(a_record(("kws", "vww")), tier_set)


@pytest.fixture(scope="session")
def measured(tier_set: TierSet) -> Case:
    """Give one workload as if it had been measured on a board."""
    return Case.of(as_measured(a_record(("kws",), runs=2)), tier_set)


@pytest.fixture(scope="session")
def emulated_page(emulated: Case) -> Page:
    """Give the emulated case's page in both languages."""
    return emulated.page()


@pytest.fixture(scope="session")
def measured_page(measured: Case) -> Page:
    """Give the measured case's page in both languages."""
    return measured.page()
