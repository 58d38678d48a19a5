"""Tables of runs: reading frames and files into checked columns, and finding rows that are checkpoints of one run."""
