"""The firmware listings of the guide, executed against chips made of registers.

MicroPython's modules and Arduino's classes are put in their place by small stand-ins;
the listings themselves are taken out of the page as a reader would take them.
"""

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from harness.meters.answer import Frame
from harness.meters.ina import wire

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "ina-firmware.md"

# bus 5.0 V; shunt 8.125 mV, so 0.8125 A in 10 mΩ, and the same the other way round
INA226 = {"ready": (0x06, 8), "shunt": (1, 3250, 16), "bus": (2, 4000, 16)}
INA228 = {"ready": (0x0B, 2), "shunt": (4, 26000 << 4, 24), "bus": (5, 25600 << 4, 24)}

MICROPYTHON = """
import sys, types
_READY, _SHUNT, _BUS, _SIZE = {ready!r}, {shunt!r}, {bus!r}, {size!r}
now = [(1 << 30) - 20000]
polls = [0]
class I2C:
    settings = []
    def __init__(self, *_, **__): pass
    def writeto_mem(self, address, register, data):
        assert address == 0x40
        I2C.settings.append((register, data.hex()))
    def readfrom_mem(self, address, register, size):
        if register == _READY[0]:
            now[0] += _PERIOD * (3 if polls[0] == 6 else 1)
            return _READY[1].to_bytes(size, "big")
        value = {{_SHUNT[0]: _SHUNT[1], _BUS[0]: _BUS[1]}}[register]
        if register == _SHUNT[0] and polls[0] > 8:
            value = (1 << _SIZE) - value
        return value.to_bytes(size, "big")
class Poll:
    def register(self, *_): pass
    def poll(self, _):
        polls[0] += 1
        if polls[0] > 12:
            sys.stderr.write(repr(I2C.settings))
            raise SystemExit
        return polls[0] in (1, 2)
_PERIOD = {period}
sys.modules["machine"] = types.SimpleNamespace(I2C=I2C, Pin=lambda number: number)
sys.modules["select"] = types.SimpleNamespace(poll=Poll, POLLIN=1)
wrap = 1 << 30
sys.modules["time"] = types.SimpleNamespace(
    ticks_us=lambda: now[0] % wrap,
    ticks_diff=lambda a, b: ((a - b + wrap // 2) % wrap) - wrap // 2)
import io
sys.stdin = io.StringIO("?S")
"""

ARDUINO_H = r"""
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
extern uint32_t fakeUs;
inline unsigned long micros() { return fakeUs; }
struct FakeSerial {
  const char *commands = "?S";
  void begin(long) {}
  int available() { return *commands != 0; }
  int read() { return *commands++; }
  void print(char c) { putchar(c); }
  void print(const char *s) { fputs(s, stdout); }
};
extern FakeSerial Serial;
"""
WIRE_H = r"""
#pragma once
#include <Arduino.h>
struct FakeWire {
  std::deque<uint8_t> written, answer;
  int readings = 0, polls = 0;
  void begin() {}
  void setClock(long) {}
  void beginTransmission(uint8_t) { written.clear(); }
  void write(uint8_t byte) { written.push_back(byte); }
  void endTransmission(bool = true) {
    if (written.size() == 3)
      fprintf(stderr, "%d %02x%02x", written[0], written[1], written[2]);
  }
  void requestFrom(uint8_t, uint8_t size) {
    uint32_t value = 0;
    if (written[0] == READY_AT_) {
      value = READY_;
      polls++;
      fakeUs += PERIOD_ * (polls == 5 ? 3 : 1);
    } else if (written[0] == SHUNT_AT_) {
      value = polls > 7 ? (1UL << SIZE_) - SHUNT_ : SHUNT_;
    } else {
      value = BUS_;
    }
    answer.clear();
    while (size--) answer.push_back(value >> (8 * size) & 0xFF);
  }
  uint8_t read() {
    uint8_t byte = answer.front();
    answer.pop_front();
    return byte;
  }
};
extern FakeWire Wire;
"""
MAIN = r"""
FakeSerial Serial;
FakeWire Wire;
uint32_t fakeUs = 0xFFFFFFFFu - 20000;
int main() {
  setup();
  for (int i = 0; i < 12; i++) loop();
}
"""


def listing(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def lines_of(output: str) -> tuple[wire.Header, list[wire.Reading]]:
    headers: list[wire.Header] = []
    readings: list[wire.Reading] = []
    for line in output.splitlines(keepends=True):
        answer = wire.decode(line.encode())
        assert isinstance(answer, Frame), (line, answer)
        if isinstance(answer.value, wire.Header):
            headers.append(answer.value)
        else:
            readings.append(answer.value)
    assert len(headers) == 1
    return headers[0], readings


def require_right(output: str, chip: str, period_us: int) -> None:
    header, readings = lines_of(output)
    steps = [
        (b.time_us - a.time_us) % wire.TIME_MODULUS_US for a, b in pairwise(readings)
    ]
    amperes = [reading.current_a(header.shunt_ohm) for reading in readings]

    assert header.chip == chip
    assert round(header.period_s * 1e6) == period_us
    assert [reading.sequence for reading in readings] == list(range(len(readings)))
    assert len(readings) >= 10
    assert {reading.bus_uv for reading in readings} == {5_000_000}
    assert amperes[0] == pytest.approx(0.8125)
    assert amperes[-1] == pytest.approx(-0.8125)
    assert sorted(set(steps)) == [period_us, 3 * period_us]
    late = [reading.flags == wire.LATE for reading in readings[1:]]
    assert late == [step == 3 * period_us for step in steps]


@pytest.mark.parametrize(
    ("chip", "model", "period_us", "settings"),
    [
        ("INA226", INA226, 4704, "[(0, '42df')]"),
        ("INA228", INA228, 4320, "[(1, 'b901')]"),
    ],
)
def test_the_micropython_listing_speaks_the_protocol(
    chip: str, model: dict[str, tuple[int, ...]], period_us: int, settings: str
) -> None:
    source = listing("python").replace('CHIP = "INA226"', f'CHIP = "{chip}"')
    shunt, bus = model["shunt"], model["bus"]
    fakes = MICROPYTHON.format(
        ready=model["ready"],
        shunt=shunt[:2],
        bus=bus[:2],
        size=bus[2],
        period=period_us,
    )

    done = subprocess.run(
        [sys.executable, "-c", fakes + source],
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.stderr.decode() == settings
    require_right(done.stdout.decode(), chip, period_us)


@pytest.mark.parametrize(
    ("chip", "model", "period_us", "settings"),
    [("INA226", INA226, 4704, "0 42df"), ("INA228", INA228, 4320, "1 b901")],
)
def test_the_arduino_listing_compiles_and_speaks_the_protocol(
    chip: str,
    model: dict[str, tuple[int, ...]],
    period_us: int,
    settings: str,
    tmp_path: Path,
) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    source = listing("cpp").replace(
        "#define CHIP_INA228 0", f"#define CHIP_INA228 {int(chip == 'INA228')}"
    )
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    (tmp_path / "Wire.h").write_text(WIRE_H)
    (tmp_path / "meter.cpp").write_text(source + MAIN)
    numbers = {
        "READY_AT_": model["ready"][0],
        "READY_": model["ready"][1],
        "SHUNT_AT_": model["shunt"][0],
        "SHUNT_": model["shunt"][1],
        "SIZE_": model["bus"][2],
        "BUS_": model["bus"][1],
        "PERIOD_": period_us,
    }

    subprocess.run(
        [
            compiler,
            "-Wall",
            "-Werror",
            "-I.",
            *(f"-D{name}={value}" for name, value in numbers.items()),
            "meter.cpp",
            "-o",
            "meter",
        ],
        cwd=tmp_path,
        check=True,
        timeout=120,
    )
    done = subprocess.run(
        [tmp_path / "meter"], capture_output=True, timeout=30, check=True
    )

    require_right(done.stdout.decode(), chip, period_us)
    assert done.stderr.decode() == settings


def test_the_examples_on_the_page_have_right_check_values() -> None:
    examples = re.findall(r"`(\$[HP],[^`]*)`", PAGE.read_text("utf-8"))

    assert len(examples) == 2
    for example in examples:
        assert isinstance(wire.decode(f"{example}\r\n".encode()), Frame)
