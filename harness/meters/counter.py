"""Energy registers that count up and roll over: from raw counts to joules.

A register of modulus M read twice tells the energy in between only modulo M. A step
of less than a quarter of M is taken as it is, over the rollover where need be; a
larger one means that the register was set back (a reset, a brown-out, a button), and
no energy can be told across it.
"""

from harness.errors import MeterError

_LARGEST_STEP = 0.25


class EnergyCounter:
    """Joules since the first reading of a register, rollovers undone."""

    def __init__(self, *, modulus: int, joules_per_count: float, where: str) -> None:
        self._modulus = modulus
        self._joules_per_count = joules_per_count
        self._where = where
        self._last: int | None = None
        self._counted = 0

    def advance(self, count: int) -> float:
        """Take the register's next reading; give the energy since the first, in J.

        Raises MeterError where the register went back by more than a rollover does.
        """
        if self._last is not None:
            step = count - self._last
            if step < 0:
                step += self._modulus
            if not 0 <= step <= self._modulus * _LARGEST_STEP:
                raise MeterError(
                    f"The energy register went from {self._last} to {count}: "
                    "it was set back while measuring",
                    where=self._where,
                    remedy="Leave the meter's buttons and supply alone, and run again.",
                )
            self._counted += step
        self._last = count
        return self._counted * self._joules_per_count
