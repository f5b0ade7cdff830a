"""The report: one HTML page and a few tables, made from a record and its assessment.

Words for people, units for people and rounding exist here and in `cli` only. The
report judges nothing and estimates nothing: it shows what it is given. It reads no
clock and no file but its own templates and words, so the same input always gives
the same bytes.

`harness.report.page.render` makes the page, `harness.report.tables.tables` the
tables; this package re-exports nothing, so that a caller loads only what it needs.
"""
