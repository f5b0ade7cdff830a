"""ST X-NUCLEO-LPM01A power shield: current or energy, 1 Hz to 100 kHz.

It supplies the device under test with 1.8 to 3.3 V and at most 50 mA. It is the meter
of MLPerf Tiny's energy mode.
"""
