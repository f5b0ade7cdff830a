"""Bench power meters that speak SCPI lines: one driver, a table of profiles.

The Yokogawa WT310E profile is proven against independent client code and a simulator
written from its manual; the other profiles are data from public sources, and say of
themselves that they are unproven.
"""
