"""An arm64 processor that QEMU emulates: real kernels, counted work, no time."""
