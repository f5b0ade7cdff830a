"""Queries to a model: when, how many, and how long each took.

`machine` decides, `arrivals` makes schedules, `search` and `earlystop` find the
highest rate of a server, `pump` is the only loop that waits, `wire` writes events
and orders as lines of JSON.

What it does not know: any runtime, any device, any tier, and how a latency is
summed up. It runs beside the model, so no link delay enters a latency.
"""
