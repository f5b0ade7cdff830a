"""Traces that other programs recorded: their files as readings, pure.

`forms` says as data what each program's export looks like, `table` reads columns,
`timeline` makes times of them, and `trace` puts readings together with what is known
of the instrument. A file is told by what is in it, never by its name.
"""
