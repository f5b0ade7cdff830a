"""What runs on a board beside the agent: ``python3 -m harness.targets.board VERB``.

It starts the agents of a trial as they are started on a host, keeps what they say in
a journal on the board, and relays the journal to whoever asks, from any place in it.
So a link may drop and come back. It needs Python and nothing else; the agents need
numpy and a runtime.
"""
