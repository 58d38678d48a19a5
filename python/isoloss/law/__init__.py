"""A law as text: parsing, constants and pivots, bounds, starts, cards and LaTeX.

The objects users meet are `isoloss.Law` and `isoloss.law` (module `object`); the registry of published laws is
`isoloss.laws`.
"""
