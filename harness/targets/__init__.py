"""Where a model can be run: this machine, an emulated device; later boards."""
