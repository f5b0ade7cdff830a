"""端评 / duanping: on-device AI benchmarking with evidence.

`harness` deploys quantised ONNX models to devices or to models of devices,
measures latency, memory, power and energy, grades them against versioned tiers
with their uncertainty, and writes a report. Importing it loads nothing heavy.
"""

__version__ = "0.1.0"
