"""What to train: predictions with bands, compute-optimal allocations, and how they hang on the optimum chosen."""
