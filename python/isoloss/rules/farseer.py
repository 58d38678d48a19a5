r"""Farseer's piecewise recipe: differences along the data, then the size, then the floor (Li et al. 2025).

1. For each size, R(D) = L(N, D) - L(N, lam D) removes the floor; ln R = ln B~ - A ln D by least squares, and
   B = B~ / (1 - lam^-A).
2. A(N) and B(N) are carried to all sizes as exp(a N^p + b), and refined together on all differences.
3. The floor of each size is the mean of L - B D^-A over its data, again carried on as exp(a3 N^gamma + b3).

The authors search the powers on grids; here each step is a fit of the same form by `isoloss.fit`, so it is a start
for, and a check of, the fit of the whole surface.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.laws.farseer import LI, anchored
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["ENTRIES", "Surface"]

_SAME = 0.02  # relative slack in which two token counts are lam apart


class Surface(NamedTuple):
    """The paper's parameters, those of the law ``farseer_printed``, and how many differences and sizes they rest on."""

    a3: float
    gamma: float
    b3: float
    a2: float
    beta: float
    b2: float
    a1: float
    alpha: float
    b1: float
    differences: int
    sizes: int

    @property
    def anchored(self) -> dict[str, float]:
        """Parameters of the law ``farseer``, such as to start a fit from."""
        return anchored(
            **{name: value for name, value in self._asdict().items() if name not in ("differences", "sizes")}
        )


def _differences(D: F64, loss: F64, lam: float) -> tuple[F64, F64]:
    """(tokens, loss drop) of every pair of runs of one size that are a factor lam apart."""
    order = np.argsort(D)
    D, loss = D[order], loss[order]
    found = np.searchsorted(D, D * lam * (1.0 - _SAME))
    pairs = [
        (i, j)
        for i, j in enumerate(found.tolist())
        if j < len(D) and D[j] <= D[i] * lam * (1.0 + _SAME) and loss[i] > loss[j]
    ]
    left, right = (np.array(side, dtype=int) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    return D[left], loss[left] - loss[right]


def _carried(N: F64, values: F64, *, rises: bool) -> tuple[float, float, float]:
    """(a, p, b) of exp(a N^p + b): p above zero with a below it, or the reverse."""
    from isoloss import fit, law

    low, high = (-1.5, -1e-3) if rises else (1e-3, 1.5)
    form = law("exp(a * N**p + b)", bounds={"a": (0.0, 1e5) if rises else (-1e5, 0.0), "p": (low, high)})
    starts = []
    scale = np.log(values)
    for p in (0.03, 0.1, 0.2, 0.4):
        power = N ** (-p if rises else p)
        slope, level = np.polyfit(power, scale, 1)
        slope = max(slope, 1e-9) if rises else min(slope, -1e-9)
        starts.append((slope, -p if rises else p, float(np.mean(scale - slope * power)) if slope else level))
    found = fit(form, {"N": N, "loss": values}, objective="squared_log", starts=starts)
    return found.params["a"], found.params["p"], found.params["b"]


def _recipe(N: Any, D: Any, loss: Any, lam: float) -> Surface:
    from isoloss import fit, law

    N, D, loss = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (N, D, loss))
    if not N.shape == D.shape == loss.shape or N.ndim != 1:
        raise DataError("N, D and loss need the same length", code="data-shape", column="loss")
    rows: list[tuple[float, float, float]] = []
    columns: list[tuple[F64, F64, F64]] = []
    for n in np.unique(N):
        tokens, drop = _differences(D[n == N], loss[n == N], lam)
        if len(np.unique(tokens)) < 3:
            continue
        slope, level = np.polyfit(np.log(tokens), np.log(drop), 1)
        if slope < 0.0:
            rows.append((n, -slope, float(np.exp(level)) / (1.0 - lam**slope)))
            columns.append((np.full(len(tokens), n), tokens, drop))
    if len(rows) < 4:
        message = (
            f"{len(rows)} sizes have three or more falling pairs of runs {lam:g} apart in tokens; the recipe needs four"
        )
        raise DataError(message, code="data-shape", column="D")
    sizes, exponents, scales = (np.array(column) for column in zip(*rows, strict=True))
    a1, alpha, b1 = _carried(sizes, exponents, rises=False)
    a2, beta, b2 = _carried(sizes, scales, rises=True)
    exponent = "exp(a1 * N**alpha + b1)"
    drops = law(
        f"exp(a2 * N**beta + b2) * D**(-{exponent}) * (1 - lam**(-{exponent}))",
        constants={"lam": lam},
        bounds={"a1": (-1e5, 0.0), "alpha": (1e-3, 1.5), "a2": (0.0, 1e5), "beta": (-1.5, -1e-3)},
    )
    point = {"a1": a1, "alpha": alpha, "b1": b1, "a2": a2, "beta": beta, "b2": b2}
    n, d, r = (np.concatenate(column) for column in zip(*columns, strict=True))
    start = [[point[name] for name in drops.parameters]]
    point = dict(fit(drops, {"N": n, "D": d, "loss": r}, objective="squared", starts=start).params)
    term = np.exp(point["a2"] * N ** point["beta"] + point["b2"]) * D ** -np.exp(
        point["a1"] * N ** point["alpha"] + point["b1"]
    )
    floor = np.array([np.mean((loss - term)[each == N]) for each in sizes])
    if np.any(floor <= 0.0):
        raise DataError("the data term exceeds the loss of a size: no floor is left", code="rule-domain", column="loss")
    a3, gamma, b3 = _carried(sizes, floor, rises=False)
    return Surface(
        a3,
        gamma,
        b3,
        **{name: point[name] for name in ("a2", "beta", "b2", "a1", "alpha", "b1")},
        differences=len(r),
        sizes=len(sizes),
    )


def farseer_recipe() -> Rule:
    """Fit Farseer's surface piece by piece.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> truth = iso.laws.get("farseer_printed").bind("li2025")
    >>> N, D = (a.ravel() for a in np.meshgrid(2e8 * 2 ** np.arange(0, 5, 0.5), 2e9 * 2 ** np.arange(0, 6, 0.5)))
    >>> found = iso.rules.get("farseer_recipe")(N=N, D=D, loss=truth(N=N, D=D))
    >>> found.differences, round(found.alpha, 3), round(found.gamma, 3)
    (110, 0.123, 0.169)
    """
    return Rule(
        name="farseer_recipe",
        family="farseer",
        formula=(
            "R(N, D) = L(N, D) - L(N, lam * D)",
            "ln R = ln(B (1 - lam^-A)) - A ln D for each N",
            "A = exp(a1 N^alpha + b1), B = exp(a2 N^beta + b2), refined on all R",
            "exp(a3 N^gamma + b3) = mean over D of L - B D^-A",
        ),
        latex_lines=(
            r"R(N, D) = L(N, D) - L(N, \lambda D) = B(N) \left(1 - \lambda^{-A(N)}\right) D^{-A(N)}",
            (
                r"A(N) = e^{a_1 N^\alpha + b_1}, \quad B(N) = e^{a_2 N^\beta + b_2}, \quad"
                r" e^{a_3 N^\gamma + b_3} = \left\langle L - B D^{-A} \right\rangle_D"
            ),
        ),
        gives=(
            "the nine parameters of farseer_printed, numbers of differences and sizes used; .anchored has those "
            "of the law farseer, a start for isoloss.fit"
        ),
        function=_recipe,
        variables={
            "N": Quantity("parameters", "of each run, on a grid of sizes"),
            "D": Quantity("tokens", "of each run, spaced by factors of lam"),
            "loss": Quantity("any", "of each run"),
            "lam": Quantity("1", "ratio of the tokens of two runs compared", 2.0**0.5, low=1.000001),
        },
        source=LI,
        notes=(
            (
                "Differences amplify noise: the surface as a whole is better fitted with isoloss.fit from this start. "
                "Pairs that "
                "rise are left out, as are sizes with fewer than three pairs."
            ),
            (
                "The authors choose the transforms of A and B by residuals; for their data it is ln A and ln B against "
                "a power "
                "of N, the form here."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"farseer_recipe": farseer_recipe})
"""The rules of this family by name."""
