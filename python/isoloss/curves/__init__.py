"""Whole loss curves and their schedules: reading, step sums, fits, predictions and the best schedule."""
