"""The record: evidence of a run on disk, written once, readable for ever.

A bundle is a folder ``<utc>_<profile>_<plan-id-8>`` with two halves: `evidence/`
(this package writes it, and nothing ever changes it afterwards) and `derived/`
(made from the evidence, again at any time, by others).

`bundle` writes, `reader` reads back, `verify` says whether a bundle still is what
was written. No module here judges, averages or reads a clock.
"""
