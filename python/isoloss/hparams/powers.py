r"""The best learning rate and batch as power laws of N and D: what every recipe, and every published law, comes to.

    lr\*(N, D) = c N^lr_N D^lr_D        batch\*(N, D) = d N^batch_N D^batch_D   [tokens]

Four recipes beside the joint surface of `isoloss.hparams.joint`:

* ``"steplaw"``: that of Li et al. (2025, arXiv:2503.04715): every run within 0.25 % of the best of its cell counts the
  same; ordinary least squares of ln lr on ln N and ln D, and of ln batch on ln D alone; 1,000 resamples of the *runs*
  kept. The paper gives the means over the resamples, `Powers.mean` here; `Powers.values` is the least-squares line
  itself, which the means approach as the resamples grow.
* ``"within"``: the same runs, batch on N and D, cells resampled.
* ``"argmin"``: the best run of each cell.
* ``"surfaces"``: the optimum of each cell's own quadratic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import DataError
from isoloss.fit.many import fit_many
from isoloss.hparams.shape import Joint
from isoloss.hparams.surface import Surface
from isoloss.hparams.sweep import Sweep, free_powers
from isoloss.law.object import law
from isoloss.units import format_number

__all__ = ["NAMES", "RECIPES", "Powers", "from_joint", "from_recipe"]

NAMES = ("lr_c", "lr_N", "lr_D", "batch_d", "batch_N", "batch_D")
"""Logarithm of c, exponents of N and D; logarithm of d, exponents of N and D."""

RECIPES = ("joint", "steplaw", "within", "argmin", "surfaces")
STEPLAW_WITHIN = 0.0025


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Powers:
    """lr* = c N^lr_N D^lr_D and batch* = d N^batch_N D^batch_D.

    Attributes
    ----------
    recipe : str
    values : (6,) float64
        In the order of `NAMES`; c and d as natural logarithms.
    draws : (m, 6) float64
        The same of refits to resampled data; none where there are none.
    """

    recipe: str
    values: F64
    draws: F64

    @property
    def c(self) -> float:
        """Learning rate at N = D = 1."""
        return math.exp(self.values[0])

    @property
    def d(self) -> float:
        """Batch in tokens at N = D = 1."""
        return math.exp(self.values[3])

    @property
    def mean(self) -> dict[str, float]:
        """Means over the draws by name, of the logarithms of c and d: the form of the published Step Law."""
        return dict(zip(NAMES, self.draws.mean(axis=0).tolist(), strict=True)) if len(self.draws) else {}

    @property
    def exponents(self) -> dict[str, float]:
        """Exponents by name."""
        return {name: float(v) for name, v in zip(NAMES, self.values, strict=True) if name not in ("lr_c", "batch_d")}

    def at(self, N: Any, D: Any) -> tuple[Any, Any]:
        """Learning rate and batch in tokens at sizes and token counts that broadcast."""
        return _at(self.values, N, D)

    def drawn(self, N: Any, D: Any) -> tuple[Any, Any]:
        """The same for every draw, which come first."""
        lead = self.draws.T.reshape(6, -1, *(1 for _ in range(np.broadcast(N, D).ndim)))
        return _at(lead, np.asarray(N), np.asarray(D))

    def __str__(self) -> str:
        shown = format_number
        batch_N = f" N^{self.values[4]:.3f}" if self.values[4] else ""
        lr_N = f" N^{self.values[1]:.3f}" if self.values[1] else ""
        lr = f"lr* = {shown(self.c)}{lr_N} D^{self.values[2]:.3f}"
        return f"{lr}, batch* = {shown(self.d)}{batch_N} D^{self.values[5]:.3f} tokens"

    def __repr__(self) -> str:
        return f"Powers({self.recipe}: {self})"


def _at(p: Any, N: Any, D: Any) -> tuple[Any, Any]:
    n, d = np.log(N), np.log(D)
    return np.exp(p[0] + p[1] * n + p[2] * d), np.exp(p[3] + p[4] * n + p[5] * d)


def from_joint(joint: Joint) -> Powers:
    """The power laws of a joint surface."""
    values, draws = joint.shape.powers(), joint.draws.powers()
    return Powers(
        recipe="joint",
        values=np.array([values[name] for name in NAMES], dtype=np.float64),
        draws=np.column_stack([draws[name] for name in NAMES]),
    )


def from_recipe(
    recipe: str,
    sweep: Sweep,
    own: Sequence[Surface | None],
    *,
    within: float = STEPLAW_WITHIN,
    draws: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
) -> Powers:
    """Power laws by one of the plain recipes.

    Parameters
    ----------
    recipe : {"steplaw", "within", "argmin", "surfaces"}
    sweep : Sweep
    own : sequence of Surface or None
        Of the cells; read by ``"surfaces"``.
    within : float
        Excess of the runs that are kept, for ``"steplaw"`` and ``"within"``.
    draws, seed, n_threads
        Of the resamples.

    Raises
    ------
    DataError
        ``hparams-too-few-runs``.
    """
    if recipe == "surfaces":
        usable = [s for s in own if s is not None and s.convex]
        cell = np.array([s.cell for s in usable], dtype=np.int64)
        x, y = np.log([s.lr for s in usable]), np.log([s.batch for s in usable])
    else:
        # Strictly below, as the released code has it; the best run itself is always in.
        rows = sweep.best if recipe == "argmin" else np.flatnonzero(sweep.excess < within)
        cell, x, y = sweep.cell[rows], sweep.ln_lr[rows], sweep.ln_batch[rows]
    seen = np.unique(cell)
    fixed = free_powers(sweep.N[seen], sweep.D[seen]) if len(seen) else ()
    if len(seen) < 4 - len(fixed) // 2:
        message = f"recipe {recipe!r} finds optima in {len(seen)} cells, too few for power laws of N and D"
        raise DataError(message, code="hparams-too-few-runs", cells=len(seen))
    by_row = recipe == "steplaw"
    unit, size = (np.arange(len(cell), dtype=np.int64), len(cell)) if by_row else (cell, sweep.cells)
    counts = _core.resample_counts(seed, draws, np.arange(size, dtype=np.int64), size)[:, unit]
    n, d = np.log(sweep.N[cell]), np.log(sweep.D[cell])
    pivot = n.mean(), d.mean()
    weights = np.concatenate([np.ones((1, len(cell))), counts])
    batch_fixed = tuple(dict.fromkeys((*fixed, "batch_N"))) if by_row else fixed
    lr, ok = _line(n - pivot[0], d - pivot[1], x, weights, [name in fixed for name in ("lr_N", "lr_D")], n_threads)
    batch, too = _line(
        n - pivot[0], d - pivot[1], y, weights, [name in batch_fixed for name in ("batch_N", "batch_D")], n_threads
    )
    for line in (lr, batch):
        line[:, 0] -= line[:, 1] * pivot[0] + line[:, 2] * pivot[1]
    table = np.column_stack([lr, batch])
    drawn = table[1:][(ok & too)[1:] & _determined(n, d, weights[1:])]
    return Powers(recipe=recipe, values=table[0], draws=drawn)


def _line(
    n: F64, d: F64, target: F64, weights: F64, fixed: list[bool], n_threads: int | None
) -> tuple[F64, NDArray[np.bool_]]:
    """(B, 3) intercepts and slopes by weighted least squares, and (B,) whether they were found."""
    table = fit_many(
        law("c + p * n + q * d", vars=["n", "d"], name="power_law_in_logarithms"),
        {"n": n, "d": d},
        target,
        weights=weights,
        starts=np.array([float(target.mean()), 0.0, 0.0]),
        objective="squared_raw",
        fix={name: 0.0 for name, held in zip("pq", fixed, strict=True) if held},
        n_threads=n_threads,
    )
    return table.params[:, [table.names.index(name) for name in "cpq"]].copy(), table.success


def _determined(n: F64, d: F64, weights: F64) -> NDArray[np.bool_]:
    """(B,) whether the settings drawn span the exponents."""
    columns = [np.ones(len(n)), *(column - column.mean() for column in (n, d) if np.ptp(column) > 0.05)]
    X = np.column_stack(columns)
    X = X[:, :2] if abs(np.linalg.det(X.T @ X)) < 1e-9 else X
    gram = np.einsum("bc,ci,cj->bij", (weights > 0).astype(np.float64), X, X)
    return np.asarray(np.linalg.eigvalsh(gram)[:, 0] > 1e-3 * np.linalg.eigvalsh(X.T @ X)[0])
