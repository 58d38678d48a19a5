"""The optimisers that isoloss is measured against, each fitting the same objective to the same draws."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common import F64, Case


@dataclass(frozen=True)
class Peer:
    """One optimiser set up for one case.

    `fit(starts, counts)` takes (k, 5) starts and (k, n) counts and returns the (k, 5) parameters found, both as ln E,
    ln A, alpha, ln B, beta. `count` is how many fits make a round long enough to time, and few enough to wait for.
    """

    name: str
    count: int
    fit: Callable[["F64", "F64"], "F64"]


# Module of this package, and what its absence is called.
MODULES = {
    "scipy_peers": "SciPy",
    "lmfit_peer": "lmfit",
    "numba_lm": "Numba",
    "jax_lm": "JAX",
    "optimistix_vmap": "Optimistix",
    "ceres": "Ceres",
}


def load(case: "Case", quick: bool, names: Iterable[str] = MODULES) -> tuple[list[Peer], list[str]]:
    """The peers that are installed, set up for a case, and a line for each that is not."""
    from common import MissingError

    found: list[Peer] = []
    absent: list[str] = []
    for name in names:
        try:
            found += import_module(f"peers.{name}").peers(case, quick)
        except ModuleNotFoundError as reason:
            absent.append(f"{MODULES[name]}: {reason.name} not installed")
        except MissingError as reason:
            absent.append(f"{MODULES[name]}: {reason}")
    return found, absent
