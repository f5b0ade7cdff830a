"""Meters that are part of the machine: RAPL, hwmon, the fuel gauge, NVML.

They are evidence of class C at best: models or small converters inside the device,
without a calibration, and reading them costs the device under test some work.
"""
