"""Which law to believe: rollouts over held-out runs, scores and paired tests, stacking, the multiverse of choices."""
