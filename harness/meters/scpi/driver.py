"""A SCPI power meter as a meter: fixed ranges, no update missed unseen, time stamped.

Where the instrument can tell when it has new data (WT310E), each reading is asked for
just then and stamped by the host's clock when that news arrives; otherwise it is asked
for on a fixed grid of times. Readings that fell out are seen by the gap that they
leave, in units of the update interval.

Ranges are fixed before measuring: an instrument that changes its range gives no data
meanwhile. The channel ``energy`` is the instrument's own integration, one number that
no sampling can spoil.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import Garbage
from harness.meters.base import InstrumentDescription
from harness.meters.scpi import wire
from harness.meters.scpi.acquisition import Course, ScpiAcquisition, joined
from harness.meters.scpi.dialogue import Dialogue
from harness.meters.scpi.profiles import Item, Profile, Ranges, profiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The largest values to be expected; the smallest ranges that hold them are set.

    None: the range is left as it stands on the instrument, and fixed there.
    """

    voltage_v: float | None = None
    current_a: float | None = None
    profile: Profile | None = None
    """None: the one that the instrument's identity tells."""


class ScpiMeter:
    """A bench power meter that speaks SCPI, behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        inputs: Inputs | None = None,
    ) -> None:
        inputs = inputs or Inputs()
        self._clock = clock
        self._address = address
        self._origin = origin
        self._dialogue = Dialogue(link, clock, where=address)
        self._identity = self._ask_identity()
        self._profile = inputs.profile or self._recognise()
        self._ranges = self._prepare(inputs)

    def identify(self) -> InstrumentDescription:
        """Say what ``*IDN?`` said, and which ranges are set."""
        return InstrumentDescription(
            driver="scpi",
            address=self._address,
            origin=self._origin,
            maker=self._identity.maker,
            model=self._identity.model,
            serial_number=self._identity.serial_number,
            firmware=self._identity.firmware,
            facts={
                "profile": self._profile.name,
                "profile_is_proven": str(self._profile.is_proven).lower(),
                **self._ranges,
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Voltage, current, power and, where the instrument integrates, energy."""
        return tuple(
            Channel(
                name=item.channel,
                unit=item.unit,
                source=self._address,
                rate_hz=1.0 / self._profile.default_period_s,
            )
            for item in self._profile.items
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["ScpiAcquisition"]:
        """Measure the named channels, at one of the instrument's update rates.

        Raises Unsupported for another rate or an unknown channel, MeterError where
        the instrument refuses a setting.
        """
        items = [item for item in self._profile.items if item.channel in channels]
        self._require_known(channels)
        word, period_s = self._period(rate_hz)
        self._select(items, word)
        course = Course(
            profile=self._profile,
            items=tuple(items),
            channels=tuple(self._channel(item, period_s) for item in items),
            period_s=period_s,
            origin=self._origin,
        )
        with self._integrating(items):
            acquisition = ScpiAcquisition(self._dialogue, self._clock, course=course)
            try:
                yield acquisition
            finally:
                acquisition.abandon()

    @contextmanager
    def _integrating(self, items: Sequence[Item]) -> Iterator[None]:
        """Have the instrument integrate, where energy is among the items."""
        if not any(item.channel == "energy" for item in items):
            yield
            return
        try:
            self._set_all(self._profile.integrate)
            yield
        finally:
            # no answer is asked for: an instrument that has fallen silent would hide
            # by its second silence what is told of the first
            for message in self._profile.integrate_end:
                self._dialogue.send(message)

    def release(self) -> None:
        """Give the instrument's keys back to the person before it."""
        self._set_all(self._profile.release)

    def _ask_identity(self) -> wire.Identity:
        self._dialogue.quieten()
        answer = wire.parse_identity(self._dialogue.ask("*IDN?"))
        if isinstance(answer, Garbage):
            raise MeterError(
                f"This does not answer as a SCPI instrument: {answer.detail}",
                where=self._address,
                remedy="Ask what it is: duanping meters --probe PORT",
            )
        return answer.value

    def _recognise(self) -> Profile:
        maker, model = self._identity.maker, self._identity.model
        for profile in profiles().values():
            if profile.answers_to(maker, model):
                return profile
        raise Unsupported(
            f"There is no profile for {maker} {model}",
            where=self._address,
            remedy="Name one that is close, such as ?profile=wt310e; known: "
            + ", ".join(profiles()),
        )

    def _prepare(self, inputs: Inputs) -> dict[str, str]:
        """Set the instrument up with fixed ranges; say which ones they are."""
        self._dialogue.send("*CLS")
        self._set_all(self._profile.setup)
        return self._fix(
            "voltage_range_v", self._profile.voltage, inputs.voltage_v
        ) | self._fix("current_range_a", self._profile.current, inputs.current_a)

    def _fix(self, name: str, ranges: Ranges, most: float | None) -> dict[str, str]:
        if ranges.auto_off:
            self._set_all([ranges.auto_off])
        if most is not None:
            what = name.partition("_")[0]
            value = ranges.least_for(most, what=what, where=self._address)
            self._set_all([ranges.setting.format(value=value)])
        if ranges.query:
            return {name: f"{float(self._dialogue.ask(ranges.query)):g}"}
        return {} if most is None else {name: f"{value:g}"}

    def _require_known(self, channels: Collection[str]) -> None:
        known = [item.channel for item in self._profile.items]
        unknown = sorted(set(channels) - set(known))
        if unknown or not channels:
            raise Unsupported(
                f"A {self._identity.model} gives {', '.join(known)}, "
                f"not {', '.join(unknown) or 'nothing'}",
                where=self._address,
                remedy="Ask for these.",
            )

    def _period(self, rate_hz: float | None) -> tuple[str, float]:
        wanted = self._profile.default_period_s if rate_hz is None else 1.0 / rate_hz
        for word, period_s in self._profile.periods_s.items():
            if abs(period_s - wanted) < 1e-6 * period_s:
                return word, period_s
        offered = ", ".join(f"{1.0 / p:g}" for p in self._profile.periods_s.values())
        raise Unsupported(
            f"A {self._identity.model} does not give {rate_hz:g} readings a second",
            where=self._address,
            remedy=f"Ask for one of: {offered}.",
        )

    def _channel(self, item: Item, period_s: float) -> Channel:
        return Channel(
            name=item.channel,
            unit=item.unit,
            source=self._address,
            rate_hz=1.0 / period_s,
        )

    def _select(self, items: Sequence[Item], word: str) -> None:
        profile = self._profile
        messages = []
        if profile.rate_command:
            messages.append(profile.rate_command.format(word=word))
        if profile.select_count:
            messages.append(profile.select_count.format(count=len(items)))
        if profile.select_item:
            messages += [
                profile.select_item.format(number=number, item=item.item)
                for number, item in enumerate(items, start=1)
            ]
        if profile.select_all:
            messages.append(profile.select_all.format(items=joined(items)))
        self._set_all(messages)

    def _set_all(self, messages: Sequence[str]) -> None:
        for message in messages:
            self._dialogue.set(message, self._profile.error_query)
