"""Measurements. `python -m benchmarks` prints every figure with its bound; all are ratios taken in one process."""
