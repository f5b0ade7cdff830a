"""The process beside the model: one order in, lines of JSON out, then it is gone.

It needs Python, numpy and a runtime and nothing else. It stops within milliseconds
when its standard input closes, so that nothing runs on when a link drops.

What it does not know: any tier, any report, and what its figures mean.
"""
