"""Which execution provider a device's models are given to first, and set up how."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.bench.inspecting import require_no_provider
from harness.domain.profile import CPU, DeviceProfile
from harness.errors import UsageError

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user asks for; nothing: as the profile says."""

    provider: str | None = None
    options: Mapping[str, str] | None = None

    def chosen(
        self, profile: DeviceProfile, *, is_emulated: bool
    ) -> tuple[str, Options]:
        """Give provider and options; those of the profile hold for its own provider.

        An emulated device executes nothing. Raises Unsupported where one is asked
        for it.
        """
        if is_emulated:
            require_no_provider(self.provider or CPU)
            return CPU, ()
        provider = self.provider or profile.provider
        is_profile_s = provider == profile.provider
        options = dict(profile.provider_options) if is_profile_s else {}
        return provider, tuple(sorted((options | dict(self.options or {})).items()))


def parse_options(given: list[str]) -> dict[str, str]:
    """Read ``key=value`` each. Raises UsageError."""
    options = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise UsageError(
                f"'{one}' is no option of a provider",
                where="--provider-option",
                remedy="Write key=value, such as backend_path=libQnnHtp.so.",
            )
        options[key.strip()] = value.strip()
    return options
