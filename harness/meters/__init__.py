"""What measures: instruments and counters, each as channels of readings."""
