"""Nordic Power Profiler Kit II: current at 100 kS/s, source or ampere mode.

It measures current only. Power is current times the set or declared voltage, and the
energy inherits that voltage's uncertainty.
"""
