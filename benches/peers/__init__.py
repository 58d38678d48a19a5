"""The optimisers that isoloss is measured against, each fitting the same objective to the same draws."""

from collections.abc import Callable
from dataclasses import dataclass
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


def all_peers(case: "Case", quick: bool) -> tuple[list[Peer], list[str]]:
    """The peers that are installed, set up for a case, and a line for each that is not."""
    from common import MissingError

    from peers import ceres, jax_peers, lmfit_peer, numba_lm, scipy_peers

    found: list[Peer] = []
    absent: list[str] = []
    for module in (scipy_peers, lmfit_peer, numba_lm, jax_peers, ceres):
        try:
            found += module.peers(case, quick)
        except (ImportError, MissingError) as reason:
            name = getattr(reason, "name", None)
            absent.append(f"{module.TITLE}: {f'{name} not installed' if name else reason}")
    return found, absent
