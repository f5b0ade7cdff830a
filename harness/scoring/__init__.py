"""Answers of models, scored: item by item on the device, as a value afterwards.

Pure numpy, since the agent carries it to a board. An item's outputs and its label
give one row or several (`scorers`); rows give the value of the metric (`values`).
Rows are evidence; values, and their uncertainty, are derived from them any time.
"""
