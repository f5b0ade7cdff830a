"""INA226 and INA228 boards on a microcontroller, over a line protocol of our own.

``docs/how-to/ina-firmware.md`` has the firmware for MicroPython and Arduino. Lines of
other people's sketches can be read too, without any claim that none is missing.
"""
