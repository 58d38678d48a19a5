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

# The functions `law`, `fit`, `fit_many` and `search` share their names with the modules that hold them, so
# those modules are imported here, before anyone can bind the module under the function's name.
from isoloss import laws, objective, schedules, starts
from isoloss._core import __version__
from isoloss.compare import Comparison, compare
from isoloss.config import show_config
from isoloss.curves import Curves, read_curves
from isoloss.draws import Draws
from isoloss.errors import DataError, FitError, FitWarning, IsolossError, LawError, Notice
from isoloss.fit import Fit, fit
from isoloss.fit_many import FitTable, fit_many, fit_many_chunks
from isoloss.grids import geomspace, linspace, logspace
from isoloss.law import Law, law
from isoloss.laws import register
from isoloss.multiverse import Multiverse, multiverse
from isoloss.objective import AbsoluteError, Huber, SquaredError
from isoloss.plan import Allocation
from isoloss.rollout import Rollout
from isoloss.runs import Runs, read
from isoloss.search import Plateau, Search, search
from isoloss.store import load

if TYPE_CHECKING:
    from isoloss import config, datasets, demo, diagnostics, errors, hparams, plot, rules, simulate, units
    from isoloss.hparams import HParamLaw, fit_hparams

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
    "FitWarning",
    "HParamLaw",
    "Huber",
    "IsolossError",
    "Law",
    "LawError",
    "Multiverse",
    "Notice",
    "Plateau",
    "Rollout",
    "Runs",
    "Search",
    "SquaredError",
    "__version__",
    "compare",
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
    "hparams",
    "law",
    "laws",
    "linspace",
    "load",
    "logspace",
    "multiverse",
    "objective",
    "plot",
    "read",
    "read_curves",
    "register",
    "rules",
    "schedules",
    "search",
    "show_config",
    "simulate",
    "starts",
    "units",
]

_MODULES = frozenset(
    {"config", "datasets", "demo", "diagnostics", "errors", "hparams", "plot", "rules", "simulate", "units"}
)
_OF_MODULES = {"HParamLaw": "hparams", "fit_hparams": "hparams"}


def __getattr__(name: str) -> Any:
    """Import the modules that not every program needs when they are first named (PEP 562)."""
    if name in _MODULES:
        return import_module(f"isoloss.{name}")
    if name in _OF_MODULES:
        return getattr(import_module(f"isoloss.{_OF_MODULES[name]}"), name)
    raise AttributeError(f"module 'isoloss' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
