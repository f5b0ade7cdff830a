"""Boards whose supply the lab file can switch: fed before they are asked for anything.

A run that was left, or a harness that was killed, may have left a board without its
supply; what gives it back is harmless where it is there.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from harness import plugins
from harness.clock import Deadline, SystemClock
from harness.domain.board import Board, Switch
from harness.domain.profile import DeviceProfile
from harness.errors import LinkError
from harness.plugins import Address
from harness.targets.base import Target
from harness.targets.power import switch_power
from harness.units import NS_PER_S

APPEAR_S = 60.0
"""How long a board may take to be there once it is fed."""
_RETRY_NS = NS_PER_S


def open_target(
    address: Address,
    profile: DeviceProfile,
    boards: Mapping[str, Board],
    *,
    is_held: bool = True,
) -> AbstractContextManager[Target]:
    """Open a target, with what the lab file says of it where it says anything.

    A board that is not held can only be asked what a run that was left there has done.
    """
    opener = plugins.find(plugins.TARGETS, address.driver)
    more: dict[str, object] = {} if is_held else {"is_held": False}
    board = boards.get(str(address))
    if board is not None:
        more["board"] = board
    opened: AbstractContextManager[Target] = opener(address, profile, **more)
    return opened


@contextmanager
def opened_and_fed(
    address: Address,
    profile: DeviceProfile,
    boards: Mapping[str, Board],
    *,
    is_held: bool = True,
) -> Iterator[Target]:
    """Open a target, its supply given first where the lab file says how.

    Raises TargetError where that fails, and what opening raises.
    """
    board = boards.get(str(address), Board())
    clock = SystemClock()
    until = Deadline.after(0.0, clock)
    if board.power_on:
        switch_power(board.power_on, Switch.ON)
        until = Deadline.after(APPEAR_S, clock)
    with ExitStack() as stack:
        while True:
            opened = open_target(address, profile, boards, is_held=is_held)
            try:
                target = stack.enter_context(opened)
            except LinkError as error:
                if until.is_over() or not error.is_transient:
                    raise
                clock.wait_until(clock.now_ns() + _RETRY_NS)
            else:
                break
        yield target


def cut_supply(address: Address, boards: Mapping[str, Board]) -> bool:
    """Take a board's supply away; False where the lab file does not say how.

    Raises TargetError.
    """
    command = boards.get(str(address), Board()).power_off
    if command:
        switch_power(command, Switch.OFF)
    return bool(command)
