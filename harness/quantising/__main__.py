"""One order from standard input, one line of JSON as the answer."""

import contextlib
import os
import sys

from harness.quantising.order import Quantised, QuantiseOrder
from harness.schema.codec import dump_bytes, load_bytes


def main() -> None:
    """Carry out the order; what goes wrong is said in the answer."""
    order = load_bytes(QuantiseOrder, sys.stdin.buffer.read(), where="order")
    with contextlib.redirect_stdout(sys.stderr):
        answer = _answer(order)
    sys.stdout.buffer.write(dump_bytes(answer))


def _answer(order: QuantiseOrder) -> Quantised:
    os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"})
    try:
        from harness.quantising.quantiser import quantise  # noqa: PLC0415 - telemetry

        return quantise(order)
    except Exception as error:  # noqa: BLE001 - this process's outermost frame
        reason = " ".join(str(error).split())[:400]
        return Quantised(error=f"{type(error).__name__}: {reason}")


if __name__ == "__main__":
    main()
