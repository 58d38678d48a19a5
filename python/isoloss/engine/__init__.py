"""Posing problems to the compiled core: parameters and weights in, optima and their census out.

Nothing here knows of statistics or decisions; `isoloss.fit`, `isoloss.stats` and `isoloss.plan` stand on it.
"""
