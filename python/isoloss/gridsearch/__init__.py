"""Exhaustive search of grids: axes, names and conditions, the search itself, results, refinement, draws."""
