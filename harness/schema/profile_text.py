"""A device profile as the TOML that a person reads and edits.

The reverse of `schema.profile`: what is written here, it reads back to the same
profile, to the digits that are written. Numbers take the unit in which they are
between 1 and 1000, where there is one.
"""

from collections.abc import Iterator, Mapping
from math import exp, log10

from harness.domain.profile import (
    CPU,
    SETTABLE,
    Covered,
    DeviceProfile,
    EmulationModel,
    LeftOut,
    Source,
)
from harness.units import SCALES

_DIGITS = 4
_KIB = 1024.0
_DECIMAL = {
    "MAC/s": ("MAC/s", "MMAC/s", "GMAC/s", "TMAC/s"),
    "B/s": ("B/s", "MB/s", "GB/s"),
    "s": ("ns", "us", "ms", "s"),
    "W": ("uW", "mW", "W"),
    "B": ("B", "kB", "MB", "GB"),
    "MAC": ("MAC", "MMAC", "GMAC"),
    "J/MAC": ("pJ/MAC", "J/MAC"),
    "J/B": ("pJ/B", "J/B"),
}
"""Units that numbers are written in, smallest first."""


def quantity_text(value: float, unit: str) -> str:
    """Write a value in the unit inside as a number and a unit that reads well.

    >>> quantity_text(121.6e6, "MAC/s")
    '121.6 MMAC/s'
    """
    choices = _DECIMAL.get(unit, (unit,))
    if unit == "B" and value >= _KIB and value % _KIB == 0:
        return _memory(int(value))
    if value == 0:
        return f"0 {choices[0]}"
    fitting = [one for one in choices if value / SCALES[one][1] >= 1]
    chosen = fitting[-1] if fitting else choices[0]
    return f"{_number(value / SCALES[chosen][1])} {chosen}"


def profile_text(profile: DeviceProfile, *, remark: str = "") -> str:
    """Write a whole profile; `remark` goes into its first lines as comments."""
    lines = [f"# {line}" for line in remark.splitlines()]
    lines += ["", *_identity(profile), "", *_device(profile), *_conditions(profile)]
    if profile.emulation is not None:
        lines += ["", *_emulation(profile.emulation)]
    return "\n".join(lines).strip() + "\n"


def _identity(profile: DeviceProfile) -> Iterator[str]:
    yield 'format = "duanping/profile/1"'
    yield f"name = {_text(profile.name)}"
    yield f"class = {_text(str(profile.device_class))}"
    yield f"title_zh = {_text(profile.title_zh)}"
    yield f"title_en = {_text(profile.title_en)}"
    yield f"suite = {_text(profile.suite)}"
    yield f"tier_set = {_text(profile.tier_set)}"
    if profile.subtypes:
        yield f"subtypes = {_texts(profile.subtypes)}"


def _device(profile: DeviceProfile) -> Iterator[str]:
    yield "[device]"
    yield f"kind = {_text('os' if profile.is_os_class else 'microcontroller')}"
    if profile.ram_bytes is not None:
        yield f'ram = "{_memory(profile.ram_bytes)}"'
    if profile.battery_j is not None:
        yield f'battery = "{_number(profile.battery_j / 3600)} Wh"'
    if profile.refresh_hz is not None:
        yield f'refresh_rate = "{_number(profile.refresh_hz)} Hz"'
    yield f"scheme = {_text(str(profile.scheme))}"
    if profile.provider != CPU or profile.provider_options:
        yield ""
        yield "[runtime]"
        yield f"provider = {_text(profile.provider)}"
    if profile.provider_options:
        yield "[runtime.options]"
        for key, value in profile.provider_options:
            yield f"{_text(key)} = {_text(value)}"


def _conditions(profile: DeviceProfile) -> Iterator[str]:
    asked = profile.conditions
    yield ""
    yield "[conditions]"
    yield f'ambient_min = "{_number(asked.ambient_min_degc)} degC"'
    yield f'ambient_max = "{_number(asked.ambient_max_degc)} degC"'
    if asked.device_max_start_degc is not None:
        yield f'device_max_start = "{_number(asked.device_max_start_degc)} degC"'
    for name in SETTABLE:
        if (wanted := getattr(asked, name)) is not None:
            yield f"{name} = {_text(wanted)}"
    if asked.wished:
        yield f"wished = {_texts(asked.wished)}"
    if asked.supply_voltage_v is not None:
        yield f'supply_voltage = "{_number(asked.supply_voltage_v)} V"'
    yield f"threads = {asked.intra_op_threads}"


def _emulation(model: EmulationModel) -> Iterator[str]:
    yield "[emulation]"
    yield f"form = {_text(model.form)}"
    for name in ("stands_for", "unit", "family"):
        value = getattr(model, name)
        if value:
            yield f"{name} = {_text(value)}"
    for name in ("fallback_operators", "refused_operators"):
        value = getattr(model, name)
        if value:
            yield f"{name} = {_texts(value)}"
    yield from _table("emulation.stack", model.stack)
    yield ""
    yield "[emulation.parameters]"
    for name, one in model.parameters.items():
        value = quantity_text(one.value, one.unit)
        yield f'{name} = {{ value = "{value}", source = {_text(one.source)} }}'
    if model.covered is not None:
        yield from _covered(model.covered)
    for name, ratios, meaning in (
        ("left_out", model.left_out, "by a fit that had not seen the model"),
        ("known", model.known, "by the numbers above; corrects such a model"),
        ("family_known", model.family_known, "of the family's device"),
    ):
        yield from _ratios(name, ratios, meaning)
    for source in model.sources:
        yield from _source(source)


def _ratios(name: str, ratios: tuple[LeftOut, ...], meaning: str) -> Iterator[str]:
    if ratios:
        yield ""
        yield f"# predicted over measured, {meaning}"
        yield f"[emulation.{name}]"
        for one in ratios:
            yield f'{_text(one.model)} = "{exp(one.log_ratio):.4f} ratio"'


def _table(name: str, entries: Mapping[str, str]) -> Iterator[str]:
    if entries:
        yield ""
        yield f"[{name}]"
        yield from (f"{key} = {_text(value)}" for key, value in entries.items())


def _covered(covered: Covered) -> Iterator[str]:
    def stretch(pair: tuple[float, float], unit: str) -> str:
        return _texts(tuple(quantity_text(value, unit) for value in pair))

    yield ""
    yield "# least and greatest of the models that the numbers were fitted to"
    yield "[emulation.covered]"
    yield f"macs = {stretch(covered.macs, 'MAC')}"
    yield f"kernels = [{covered.kernels[0]:g}, {covered.kernels[1]:g}]"
    yield f"weights = {stretch(covered.weights_bytes, 'B')}"
    yield f"activations = {stretch(covered.activations_bytes, 'B')}"
    yield f"classes = {_texts(covered.classes)}"
    yield f"models = {covered.models}"


def _source(source: Source) -> Iterator[str]:
    yield ""
    yield "[[emulation.sources]]"
    for name in ("id", "title", "licence", "date", "place", "note"):
        value = getattr(source, name)
        if value:
            yield f"{name} = {_text(value)}"


def _number(value: float) -> str:
    """Write four digits, and never an exponent below a million."""
    if value == 0:
        return "0"
    places = max(0, _DIGITS - 1 - int(log10(abs(value)) // 1))
    text = f"{round(value, places):.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _memory(size: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale and size * 8 % scale == 0:
            return f"{size / scale:g} {unit}"
    return f"{size} B"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"
