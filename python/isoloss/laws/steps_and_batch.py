r"""Training curves in steps: size, optimiser steps, and what a finite batch costs.

Su et al. (2024) take up the forms of Kaplan et al. (2020) and estimate them from models below 60M parameters, to
predict the whole curve of a 33B model. Beyond the batch size B_crit(L) = B_star / L^(1/alpha_B), more samples per step
stop helping: S steps at batch B are worth S_min = S / (1 + B_crit/B) steps at unlimited batch, and
E_min = B S / (1 + B/B_crit) tokens at small batch, which is the hyperbola (S/S_min - 1)(E/E_min - 1) = 1. Together,

    L = (Nc/N)^alpha_N + (Sc (1 + B_star / (B L^(1/alpha_B))) / S)^alpha_S,

which holds L on both sides: the law ``su_trajectory`` solves it. `fit_stepwise` estimates all six constants in the
order of the paper.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

__all__ = [
    "ENTRIES",
    "SU",
    "fit_stepwise",
    "su_critical_batch",
    "su_hyperbola",
    "su_size",
    "su_size_steps",
    "su_trajectory",
]

_FAMILY = "steps_and_batch"
SU = Source("Unraveling the Mystery of Scaling Laws: Part I", "2403.06563", "Su et al.", 2024)
_MEANINGS = {
    "Nc": "size at which a converged model would have loss 1 [parameters]",
    "alpha_N": "exponent of size",
    "Sc": "steps at which the step term would be 1 [steps]",
    "alpha_S": "exponent of steps",
    "B_star": "critical batch at loss 1 [tokens]",
    "alpha_B": "inverse exponent of the loss in the critical batch",
}
_BOUNDS = {"alpha_N": (0.0, 2.0), "alpha_S": (0.0, 3.0), "alpha_B": (0.0, 2.0)}
_N = "parameters without embeddings"
_OWN = "Coefficients of this paper could not be read; sets are those of Kaplan et al., whose forms these are."
_RECIPE = "step by step: see fit_stepwise"
_KAPLAN = {
    "Nc": 6.5e13,
    "alpha_N": 0.077,
    "Sc": 2.1e3,
    "alpha_S": 0.76,
    "B_star": 2e8,
    "alpha_B": 0.21,
}
_SECOND_HAND = "form verified, coefficients second hand"


def _kaplan(note: str, **params: float) -> dict[str, Published]:
    quoted = "Kaplan et al. 2020, arXiv:2001.08361, as quoted by later accounts"
    return {"kaplan2020": Published(params, quoted, second_hand=True, note=note)}


def _of_kaplan(*names: str) -> dict[str, float]:
    return {name: _KAPLAN[name] for name in names}


def su_size() -> Law:
    """Loss of a converged model, (Nc/N)^alpha_N.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("su_size")(N=1.0, Nc=16.0, alpha_N=0.5)
    4.0
    """
    return law(
        "(Nc / N)**alpha_N",
        name="su_size",
        positive=["Nc", "alpha_N"],
        bounds={"alpha_N": _BOUNDS["alpha_N"]},
        starts={"Nc": (1e10, 1e14), "alpha_N": (0.04, 0.08, 0.2)},
        meanings={name: _MEANINGS[name] for name in ("Nc", "alpha_N")},
        units={"N": _N},
        recipe=Recipe(SquaredError(space="log"), "models of 1M to 60M parameters trained until they hardly improve"),
        family=_FAMILY,
        status=_SECOND_HAND,
        source=SU,
        notes=("No irreducible loss.", _OWN),
        published=_kaplan("of models trained to convergence", Nc=8.8e13, alpha_N=0.076),
    )


def su_size_steps() -> Law:
    """Loss after S_min steps at unlimited batch, (Nc/N)^alpha_N + (Sc/S_min)^alpha_S.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("su_size_steps")(N=1.0, Smin=100.0, Nc=4.0, alpha_N=0.5, Sc=100.0, alpha_S=0.7)
    3.0
    """
    return law(
        "(Nc / N)**alpha_N + (Sc / Smin)**alpha_S",
        name="su_size_steps",
        vars=["N", "Smin"],
        positive=["Nc", "alpha_N", "Sc", "alpha_S"],
        bounds={name: _BOUNDS[name] for name in ("alpha_N", "alpha_S")},
        starts={"Nc": (1e10, 1e14), "alpha_N": (0.04, 0.08, 0.2), "Sc": (1e2, 1e4), "alpha_S": (0.4, 0.8)},
        meanings={name: _MEANINGS[name] for name in ("Nc", "alpha_N", "Sc", "alpha_S")},
        units={"N": _N, "Smin": "steps that unlimited batch would need, S / (1 + B_crit / B)"},
        recipe=Recipe(SquaredError(space="log"), _RECIPE),
        family=_FAMILY,
        status=_SECOND_HAND,
        source=SU,
        notes=("Leave the warm-up out.", _OWN),
        published=_kaplan("of its fit in size and steps", **_of_kaplan("Nc", "alpha_N", "Sc", "alpha_S")),
    )


def su_critical_batch() -> Law:
    """Critical batch at a loss, B_star / L^(1/alpha_B).

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.laws.get('su_critical_batch').bind('kaplan2020')(L=3.0):.3g}"
    '1.07e+06'
    """
    return law(
        "B_star / L**(1 / alpha_B)",
        name="su_critical_batch",
        vars=["L"],
        positive=["B_star", "alpha_B"],
        bounds={"alpha_B": _BOUNDS["alpha_B"]},
        starts={"alpha_B": (0.1, 0.2, 0.4)},
        meanings={name: _MEANINGS[name] for name in ("B_star", "alpha_B")},
        units={"L": "nats per token"},
        target="B_crit",
        target_unit="tokens",
        recipe=Recipe(SquaredError(space="log"), "critical batches of several loss levels, each from a hyperbola"),
        family=_FAMILY,
        status=_SECOND_HAND,
        source=SU,
        notes=(_OWN,),
        published=_kaplan("one and two digits", **_of_kaplan("B_star", "alpha_B")),
    )


def su_hyperbola() -> Law:
    """Steps to one level of loss at a batch size, S_min (1 + B_crit/B).

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("su_hyperbola")(batch=1e6, S_min=1000.0, B_crit=1e6)  # at the critical batch: twice the least
    2000.0
    """
    return law(
        "S_min * (1 + B_crit / batch)",
        name="su_hyperbola",
        positive=["S_min", "B_crit"],
        starts={"B_crit": (1e4, 1e6, 1e8)},
        meanings={
            "S_min": "least steps, at unlimited batch [steps]",
            "B_crit": "critical batch: twice the least steps and twice the least tokens [tokens]",
        },
        target="S",
        target_unit="steps to reach the loss",
        recipe=Recipe(SquaredError(space="log"), "one small model at several batch sizes, constant learning rate"),
        family=_FAMILY,
        status="form verified",
        source=SU,
        notes=("The least tokens are E_min = S_min B_crit: (S/S_min - 1)(E/E_min - 1) = 1 with E = B S.",),
    )


def su_trajectory() -> Law:
    """Loss after S steps at batch B, the root of L = (Nc/N)^alpha_N + (Sc (1 + B_star/(B L^(1/alpha_B)))/S)^alpha_S.

    Examples
    --------
    >>> import isoloss as iso
    >>> curve = iso.laws.get("su_trajectory").bind("kaplan2020")
    >>> curve(N="33B", S=[1e4, 1e5], batch="2M").round(3)
    array([2.41 , 1.972])
    """
    return law(
        "root(L, L - (Nc / N)**alpha_N - (Sc * (1 + B_star / (batch * L**(1 / alpha_B))) / S)**alpha_S, "
        "(Nc / N)**alpha_N, 1000)",
        name="su_trajectory",
        positive=["Nc", "alpha_N", "Sc", "alpha_S", "B_star", "alpha_B"],
        bounds=_BOUNDS,
        starts={
            "Nc": (1e12, 1e14),
            "alpha_N": (0.05, 0.1),
            "Sc": (1e3, 1e4),
            "alpha_S": (0.5, 0.8),
            "B_star": (1e7, 1e9),
            "alpha_B": (0.15, 0.3),
        },
        meanings=_MEANINGS,
        units={"N": _N},
        recipe=Recipe(SquaredError(space="log"), _RECIPE),
        family=_FAMILY,
        status=_SECOND_HAND,
        source=SU,
        notes=(
            "The right side falls with L, so there is one root; a loss above 1000 has none and is NaN.",
            "Constant learning rate after the warm-up, which is left out.",
            _OWN,
        ),
        published=_kaplan("its fit in size and steps with its critical batch", **_KAPLAN),
    )


def fit_stepwise(
    sizes: Mapping[str, ArrayLike],
    batches: Mapping[str, ArrayLike],
    curve: Mapping[str, ArrayLike],
) -> dict[str, float]:
    """All constants of the trajectory, in the steps of Su et al.

    Parameters
    ----------
    sizes : mapping
        ``N`` and ``loss`` (n,) of models trained until they hardly improve.
    batches : mapping
        ``batch`` (tokens), ``S`` (steps) and ``L`` (the level of loss reached), (m,); each level at two batch sizes or
        more.
    curve : mapping
        ``N``, ``S``, ``batch`` and ``loss`` (k,) along training curves after the warm-up.

    Returns
    -------
    dict of str to float
        ``Nc``, ``alpha_N``, ``B_star``, ``alpha_B``, ``Sc``, ``alpha_S``: parameters of ``su_trajectory``.

    Notes
    -----
    1. `su_size` gives Nc and alpha_N. 2. `su_hyperbola` gives the critical batch of each level of loss,
    `su_critical_batch` B_star and alpha_B. 3. Steps become S_min by the critical batch at their loss, the size term is
    taken off, and what is left gives Sc and alpha_S. All are least squares in logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.laws.steps_and_batch import fit_stepwise
    >>> N, B = np.geomspace(1e6, 6e7, 5), np.array([1e5, 1e6, 1e7, 1e5, 1e6, 1e7])
    >>> L = np.repeat([4.0, 3.0], 3)
    >>> sizes = {"N": N, "loss": (1e13 / N) ** 0.08}
    >>> batches = {"batch": B, "S": 1e4 * (1 + 2e8 * L**-5 / B), "L": L}
    >>> S_min, size, loss = np.geomspace(1e3, 1e6, 9), 1e7, 0.0
    >>> loss = (1e13 / size) ** 0.08 + (2e3 / S_min) ** 0.7
    >>> curve = {"N": np.full(9, size), "S": S_min * (1 + 2e8 * loss**-5 / 1e6), "batch": np.full(9, 1e6), "loss": loss}
    >>> {name: float(f"{value:.6g}") for name, value in fit_stepwise(sizes, batches, curve).items()}
    {'Nc': 10000000000000.0, 'alpha_N': 0.08, 'B_star': 200000000.0, 'alpha_B': 0.2, 'Sc': 2000.0, 'alpha_S': 0.7}
    """
    from isoloss.fit.object import fit
    from isoloss.runs.reading import read

    def fitted(what: Law, columns: Mapping[str, Any], **roles: Any) -> Mapping[str, float]:
        return fit(what, read(dict(columns), **roles), objective=SquaredError(space="log")).params

    size = fitted(su_size(), sizes)
    level = np.asarray(batches["L"], dtype=np.float64)
    batch, steps = (np.asarray(batches[name], dtype=np.float64) for name in ("batch", "S"))
    levels = np.unique(level)
    critical = [
        fitted(su_hyperbola(), {"batch": batch[level == value], "loss": steps[level == value]})["B_crit"]
        for value in levels
    ]
    tokens = fitted(su_critical_batch(), {"L": levels, "loss": np.array(critical)}, L="L")
    N, S, B, loss = (np.asarray(curve[name], dtype=np.float64) for name in ("N", "S", "batch", "loss"))
    least = S / (1.0 + tokens["B_star"] * loss ** (-1.0 / tokens["alpha_B"]) / B)
    rest = loss - (size["Nc"] / N) ** size["alpha_N"]
    what = law(
        "(Sc / Smin)**alpha_S",
        vars=["Smin"],
        positive=["Sc", "alpha_S"],
        bounds={"alpha_S": _BOUNDS["alpha_S"]},
        starts={"Sc": (1e2, 1e4), "alpha_S": (0.4, 0.8)},
    )
    return {**size, **tokens, **fitted(what, {"Smin": least, "loss": rest}, Smin="Smin")}


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "su_size": su_size,
        "su_size_steps": su_size_steps,
        "su_critical_batch": su_critical_batch,
        "su_hyperbola": su_hyperbola,
        "su_trajectory": su_trajectory,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
