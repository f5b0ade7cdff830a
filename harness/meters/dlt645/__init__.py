"""Electricity meters that speak DL/T 645-2007, by serial line or optical head."""
