"""Shipped for authors of drivers and targets; nothing in the harness imports it."""
