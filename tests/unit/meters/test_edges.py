"""Of dense logic levels only the changes are kept; instants stay as they are."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock
from harness.meters.edges import changes, edge_channels


def a_block(name: str, times: list[int], values: list[float]) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name=name, unit="1", source="ppk2@sim:"),
        clock="monotonic",
        origin=Origin.SIMULATED,
        times_ns=array("q", times),
        values=array("d", values),
    )


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200), st.integers(1, 50))
def test_levels_can_be_told_again_from_their_changes(
    levels: list[int], piece: int
) -> None:
    times = list(range(len(levels)))
    pieces = [
        a_block(
            "logic", times[i : i + piece], [float(x) for x in levels[i : i + piece]]
        )
        for i in range(0, len(levels), piece)
    ]

    (found,) = changes(pieces)

    told, place = [], -1
    for time in times:
        while place + 1 < len(found.times_ns) and found.times_ns[place + 1] <= time:
            place += 1
        told.append(int(found.values[place]))
    assert told == levels


def test_instants_are_kept_and_power_is_left_out() -> None:
    event, power = a_block("event", [5, 9], [1.0, 1.0]), a_block("power", [1], [0.1])

    assert changes([power, event]) == (event,)
    assert changes([power]) == ()


def test_channels_that_tell_of_edges_are_named() -> None:
    channels = [a_block(n, [1], [0.0]).channel for n in ("power", "logic", "current")]

    assert edge_channels(channels) == ("logic",)
