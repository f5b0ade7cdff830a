"""The test bench: where device, instruments and clocks stand together.

The one imperative place. It executes a plan and hands every event to the record;
it knows no statistics, no tier and no page.
"""
