r"""Loss when data are repeated: repeats and excess parameters are worth less and less (Muennighoff et al. 2023).

With U unique tokens seen in R_D = D / U - 1 repetitions, the data are worth D' = U + U R_D* (1 - exp(-R_D / R_D*))
fresh tokens; a model larger than U tokens can make use of is worth N' in the same way; L = E + A / N'^alpha + B /
D'^beta. The size that U can make use of is the compute-optimal one,
U_N = min(N, G (G U)^(beta / alpha)), G = (alpha A / (beta B))^(1 / (alpha + beta)).

The variants of the released notebook: decay of the data's worth only, of the parameters' worth only, and geometric
decay, in which the k-th repetition is worth (1 - d)^k of a fresh one.

Reference: Muennighoff et al. (2023), arXiv:2305.16264, equations 5 to 7; notebook ``utils/parametric_fit.ipynb`` of
github.com/huggingface/datablations.
"""

from __future__ import annotations

from math import exp
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "MUENNIGHOFF"]

MUENNIGHOFF = Source("Scaling Data-Constrained Language Models", "2305.16264", "Muennighoff et al.", 2023)

_FAMILY = "data_constrained"
_NOTEBOOK = "Muennighoff et al. 2023, arXiv:2305.16264, released notebook utils/parametric_fit.ipynb"
_C4 = {"E": exp(0.6254804), "A": exp(6.255414), "alpha": 0.3526596, "B": exp(7.3049974), "beta": 0.3526596}
_BASE_MEANINGS = {
    "E": "irreducible loss [nats per token]",
    "A": "scale of the size term [nats per token]",
    "alpha": "exponent of the size term",
    "B": "scale of the data term [nats per token]",
    "beta": "exponent of the data term",
}
_BOUNDS = {"alpha": (0.01, 2.0), "beta": (0.01, 2.0)}
_STARTS = {"alpha": (0.2, 0.35, 0.6), "beta": (0.2, 0.35, 0.6)}
_RECIPE = Recipe(
    Huber(1e-3, space="log"),
    "two stages: E, A, alpha, B, beta from 54 single-epoch C4 points with alpha = beta, then only the decay constants "
    "on 182 runs, grid of 4 x 4 starts in 0 to 20",
)

_G = "(alpha * A / (beta * B))**(1 / (alpha + beta))"
_USEFUL_N = f"min(N, {_G} * ({_G} * U)**(beta / alpha))"
_UNIQUE = "min(U, D)"
_DATA = f"{_UNIQUE} * (1 + R_D * (1 - exp(-(D / {_UNIQUE} - 1) / R_D)))"
_SIZE = f"{_USEFUL_N} * (1 + R_N * (1 - exp(-(N / {_USEFUL_N} - 1) / R_N)))"


def _repeats(name: str, size: str, data: str, published: dict[str, Published], notes: tuple[str, ...]) -> Law:
    """One of the exponential forms."""
    text = f"E + A / ({size})**alpha + B / ({data})**beta"
    decays = {
        "R_D": "repetitions after which one more is worth 1/e of fresh data",
        "R_N": "the same for parameters that the unique data cannot use",
    }
    present = {key: meaning for key, meaning in decays.items() if f"{key} " in text}
    return law(
        text,
        name=name,
        vars=["N", "D", "U"],
        positive=["E", "A", "B", *present],
        bounds={**_BOUNDS, **dict.fromkeys(present, (0.01, 100000.0))},
        starts={**_STARTS, **dict.fromkeys(present, (1.0, 5.0, 20.0))},
        meanings={**_BASE_MEANINGS, **present},
        recipe=_RECIPE,
        family=_FAMILY,
        status="verified" if published else "form verified",
        source=MUENNIGHOFF,
        notes=notes,
        published=published,
    )


def _both() -> Law:
    """Repeated data and excess parameters both decay: the paper's law."""
    return _repeats(
        "data_constrained",
        _SIZE,
        _DATA,
        {
            "muennighoff2023": Published(
                {**_C4, "R_D": 15.387756, "R_N": 5.309743},
                _NOTEBOOK,
                note="C4; one of two nearly equal optima, see the notes",
            )
        },
        (
            (
                "The published decay constants are one of two nearly equal minima: on the same 182 runs (R_D, R_N) = "
                "(95.4, 1.71) has a slightly lower objective, and R_D above about 12 is barely identified. Report a "
                "profile of R_D, not the point."
            ),
            "Any number of repetitions is worth at most 1 + R_D epochs.",
            "U counts unique tokens; tokens beyond U are repetitions. Where D is below U only D of them were seen.",
            "Runs of more than about 100 epochs diverge; the paper's fit leaves them out.",
        ),
    )


def _data_only() -> Law:
    """Repeated data decay, parameters do not."""
    return _repeats(
        "data_constrained_data_only",
        "N",
        _DATA,
        {
            "muennighoff2023": Published(
                {**_C4, "R_D": 2.9157}, _NOTEBOOK, note="the notebook's fit with decay of data alone"
            )
        },
        ("Without the decay of excess parameters, which the full law needs where N is far above what U can use.",),
    )


def _size_only() -> Law:
    """Excess parameters decay, repeated data do not."""
    return _repeats(
        "data_constrained_size_only",
        _SIZE,
        "D",
        {},
        (
            (
                "Kept for comparison: repeats count in full. The notebook's own variant of this name ends at R_N = "
                "713, which "
                "this form does not reproduce on its data; no set is given."
            ),
        ),
    )


def _geometric() -> Law:
    """Each repetition is worth a fixed share of the one before."""
    data = f"{_UNIQUE} * (1 - (1 - d)**(D / {_UNIQUE})) / d"
    size = f"{_USEFUL_N} * (1 - (1 - n)**(N / {_USEFUL_N})) / n"
    return law(
        f"E + A / ({size})**alpha + B / ({data})**beta",
        name="data_constrained_geometric",
        vars=["N", "D", "U"],
        positive=["E", "A", "B", "d", "n"],
        bounds={**_BOUNDS, "d": (1e-6, 0.999), "n": (1e-6, 0.999)},
        starts={**_STARTS, "d": (0.003, 0.03, 0.3), "n": (0.003, 0.03, 0.3)},
        meanings={
            **_BASE_MEANINGS,
            "d": "share of its worth that data lose with each repetition",
            "n": "the same for parameters, per multiple of the useful size",
        },
        recipe=_RECIPE,
        family=_FAMILY,
        status="verified",
        source=MUENNIGHOFF,
        notes=("The limit of many repetitions is 1 / d epochs' worth of data.",),
        published={
            "muennighoff2023": Published(
                {**_C4, "d": 0.010463, "n": 0.367575}, _NOTEBOOK, note="the notebook's geometric variant"
            )
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "data_constrained": _both,
        "data_constrained_data_only": _data_only,
        "data_constrained_size_only": _size_only,
        "data_constrained_geometric": _geometric,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
