"""Timings and readings of a record → estimates, figures withheld, and findings.

Everything here is a pure function of the record: no file, no clock, no device, and
no random numbers, so that a record graded again next year gives the same answer.
It judges nothing and words nothing; limits are `harness.grading`'s, sentences
`harness.report`'s.

`estimating.estimate` and `findings.find` are the two ways in. The rule that holds
throughout (method, section 2): runs are the independent unit, and queries of one run
are autocorrelated and never pooled as if they were independent.

Import each name from its own module; this package re-exports nothing.
"""
