"""Fit neural scaling laws at volume and turn the fits into decisions.

A law is an expression; everything else is a batch of fits or a grid, and a summary:

    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> fit = iso.fit("chinchilla", runs, seed=0)
    >>> fit.success
    True

The names below are the whole public surface; the modules `rules`, `simulate`, `plot`, `demo`,
`config`, `errors` and `units` are reached as attributes and imported when first used. `objective` holds the
losses beyond the three common ones, `starts` the boxes of starting points.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# `law` and `fit` share their names with the packages that hold them: those are imported here, before anyone can bind
# the package under the function's name. What not every program needs is imported when it is first named (`_LAZY`).
from isoloss import laws, objective, starts
from isoloss._core import __version__
from isoloss.config import show_config
from isoloss.errors import (
    DataError,
    FitError,
    IsolossError,
    LawError,
    MissingExtraError,
    Notice,
    OptionError,
    OutOfMemoryError,
    OutputError,
)
from isoloss.fit.object import Fit, fit
from isoloss.law.object import Law, law
from isoloss.laws import register
from isoloss.objective import AbsoluteError, Huber, SquaredError
from isoloss.runs.reading import Runs, read

if TYPE_CHECKING:
    from isoloss import config, datasets, demo, diagnostics, errors, hparams, plot, rules, schedules, simulate, units
    from isoloss.comparison.compare import Comparison, compare
    from isoloss.comparison.multiverse import Multiverse, multiverse
    from isoloss.comparison.recipes import compare_recipes
    from isoloss.comparison.rollout import Rollout
    from isoloss.curves.reading import Curves, read_curves
    from isoloss.design.candidates import grid
    from isoloss.design.next_runs import next_runs
    from isoloss.design.score import score_design
    from isoloss.design.target import Target
    from isoloss.fit.many import FitTable, fit_many, fit_many_chunks
    from isoloss.gridsearch.grids import geomspace, linspace, logspace
    from isoloss.gridsearch.search import Plateau, Search, search
    from isoloss.hparams import HParamLaw, fit_hparams
    from isoloss.law.groups import by_group
    from isoloss.plan.allocation import Allocation
    from isoloss.plan.flops import Transformer
    from isoloss.stats.draws import Draws
    from isoloss.store import load

__all__ = [
    "AbsoluteError",
    "Allocation",
    "Comparison",
    "Curves",
    "DataError",
    "Draws",
    "Fit",
    "FitError",
    "FitTable",
    "HParamLaw",
    "Huber",
    "IsolossError",
    "Law",
    "LawError",
    "MissingExtraError",
    "Multiverse",
    "Notice",
    "OptionError",
    "OutOfMemoryError",
    "OutputError",
    "Plateau",
    "Rollout",
    "Runs",
    "Search",
    "SquaredError",
    "Target",
    "Transformer",
    "__version__",
    "by_group",
    "compare",
    "compare_recipes",
    "config",
    "datasets",
    "demo",
    "diagnostics",
    "errors",
    "fit",
    "fit_hparams",
    "fit_many",
    "fit_many_chunks",
    "geomspace",
    "grid",
    "hparams",
    "law",
    "laws",
    "linspace",
    "load",
    "logspace",
    "multiverse",
    "next_runs",
    "objective",
    "plot",
    "read",
    "read_curves",
    "register",
    "rules",
    "schedules",
    "score_design",
    "search",
    "show_config",
    "simulate",
    "starts",
    "units",
]

_MODULES = frozenset({
    "config", "datasets", "demo", "diagnostics", "errors", "hparams", "plot", "rules", "schedules", "simulate", "units",
})  # fmt: skip
_LAZY = {
    "comparison.compare": ("Comparison", "compare"),
    "comparison.multiverse": ("Multiverse", "multiverse"),
    "comparison.recipes": ("compare_recipes",),
    "comparison.rollout": ("Rollout",),
    "curves.reading": ("Curves", "read_curves"),
    "design.candidates": ("grid",),
    "design.next_runs": ("next_runs",),
    "design.score": ("score_design",),
    "design.target": ("Target",),
    "fit.many": ("FitTable", "fit_many", "fit_many_chunks"),
    "gridsearch.grids": ("geomspace", "linspace", "logspace"),
    "gridsearch.search": ("Plateau", "Search", "search"),
    "hparams": ("HParamLaw", "fit_hparams"),
    "law.groups": ("by_group",),
    "plan.allocation": ("Allocation",),
    "plan.flops": ("Transformer",),
    "stats.draws": ("Draws",),
    "store": ("load",),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what not every program needs when it is first named (PEP 562)."""
    if name in _MODULES:
        return import_module(f"isoloss.{name}")
    if name in _HOME:
        value = getattr(import_module(f"isoloss.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'isoloss' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
