"""What adb says of its phones, as one sentence each.

States: AOSP packages/modules/adb, adb.cpp, ``ConnectionStateName``.
"""

from collections.abc import Mapping

from harness.errors import LinkClosed, LinkError

READY = "device"
_USB_RULE = "sudo apt-get install android-sdk-platform-tools-common"
_REMEDIES = {
    "unauthorized": "Unlock the phone and allow USB debugging for this computer; "
    "where it does not ask, revoke the authorisations in its developer options.",
    "no permissions": f"This user may not open the USB device: {_USB_RULE}, then "
    "plug the phone in again.",
    "sideload": "Start Android on it: adb reboot",
    "recovery": "Start Android on it: adb reboot",
    "bootloader": "Start Android on it: fastboot reboot",
}
_PASSING = {
    "offline": "Plug it in again, or restart it; another adb server may hold it: "
    "adb kill-server",
    "authorizing": "Wait a little and look at its screen.",
    "connecting": "Wait a little.",
    "host": "Wait a little.",
}


def states_in(listing: str) -> dict[str, str]:
    """Read what ``adb devices`` prints: state by serial."""
    found = {}
    for line in listing.splitlines():
        serial, tab, state = line.partition("\t")
        if tab:
            found[serial] = state.strip()
    return found


def chosen(states: Mapping[str, str], wanted: str) -> str:
    """Give the serial of the phone that is meant and ready; no name: the only one.

    Raises LinkClosed for one that may be there soon, LinkError for one that waits for
    a person, and where several could be meant.
    """
    if not wanted and len(states) > 1:
        raise LinkError(
            f"Several phones are connected: {', '.join(sorted(states))}",
            where="android@adb:",
            remedy="Name one: android@adb:SERIAL",
        )
    serial = wanted or next(iter(states), "")
    state = states.get(serial)
    if state is None:
        raise _absent(states, serial)
    if state == READY:
        return serial
    where = f"adb:{serial}"
    # the state may carry a reason in brackets
    name = next((key for key in (*_REMEDIES, *_PASSING) if state.startswith(key)), "")
    what = f"The phone is there but says '{state.split(';')[0]}'"
    if name == "unauthorized":
        what = "The phone has not allowed this computer to debug it (unauthorized)"
    if name in _PASSING:
        raise LinkClosed(what, where=where, remedy=_PASSING[name])
    remedy = _REMEDIES.get(name, "Restart it and look at: adb devices -l")
    raise LinkError(what, where=where, remedy=remedy)


def _absent(states: Mapping[str, str], serial: str) -> LinkClosed:
    others = ", ".join(sorted(states))
    what = f"No phone '{serial}' is there" if serial else "No phone is connected"
    return LinkClosed(
        f"{what}; adb sees {others or 'none'}",
        where=f"android@adb:{serial}",
        remedy="Is the cable in and USB debugging on? Another adb server (Android "
        "Studio's, or a shell's) holds a phone for itself: adb kill-server",
    )
