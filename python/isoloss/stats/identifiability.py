r"""What the runs determine and what they leave open.

Three views of the same question:

- The Jacobian of the predictions, in the space of the objective and of the solver's coordinates (logarithms of positive
  parameters), each column scaled to length one. Its *condition* says how nearly some combination of parameters
  changes nothing; the *sloppy direction* is that combination (Gutenkunst et al. 2007). Scaling makes both free of the
  units of the loss, though not of those of N and D, which the amplitudes contain.
- Profiles of all parameters. A profile that stays below its limit on one side is a *ridge*, said in words.
- The same for a single parameter by `Fit.profile`, for two by `Fit.profile2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem
from isoloss.errors import Notice
from isoloss.plain import plain_dict
from isoloss.stats.inference import transform_slopes
from isoloss.stats.profiles import Profile, profile
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.fit.data import FitData

__all__ = ["Identifiability", "Sloppiness", "identify", "sloppiness"]

_ROWS = 20_000  # runs that suffice for a condition number
_SHOWN = 0.1  # share of the largest component below which a parameter is not named


@dataclass(frozen=True, slots=True, kw_only=True)
class Sloppiness:
    """The direction in which parameters move most freely.

    Attributes
    ----------
    condition : float
        Largest over smallest singular value of the scaled Jacobian; infinite where a direction changes nothing.
    direction : mapping of str to float
        Relative changes of the parameters along the least singular direction, the largest of size one.
    """

    condition: float
    direction: Mapping[str, float]

    def __str__(self) -> str:
        parts = [
            f"{name} {value:+.2f}"
            for name, value in sorted(self.direction.items(), key=lambda item: -abs(item[1]))
            if abs(value) >= _SHOWN
        ]
        return f"{format_number(self.condition, 2)}, sloppiest along {', '.join(parts)}"


def sloppiness(problem: Problem, params: F64, held: NDArray[np.bool_]) -> Sloppiness | None:
    """Condition and sloppy direction at a point; None with fewer than two parameters free to move.

    Parameters
    ----------
    params : (p,) float64
    held : (p,) bool
        Parameters at a bound.
    """
    own = problem.parameters
    moving = np.flatnonzero(own.free & ~held[own.tied])
    present = problem.present
    rows = present[:: max(1, len(present) // _ROWS)]
    if len(moving) < 2 or len(rows) < len(moving):
        return None
    selection = np.asarray(own.tied[:, None] == moving[None, :], dtype=np.float64)
    with np.errstate(all="ignore"):
        (at,) = problem.derivatives(params, rows)  # few enough for one block
        slope, _ = transform_slopes(at.value, problem.objective)
        jacobian = slope[:, None] * at.gradient @ selection
        natural = np.where(own.positive[moving], params[moving], 1.0)
        jacobian = jacobian * natural
        if problem.weights is not None:
            jacobian = jacobian * np.sqrt(problem.weights[rows])[:, None]
        length = np.linalg.norm(jacobian, axis=0)
    if not np.all(np.isfinite(length)) or not np.all(length > 0.0):
        return None
    _, size, axes = np.linalg.svd(jacobian / length, full_matrices=False)
    # Relative changes: of the logarithm for positive parameters, of the value over itself for others.
    step = axes[-1] / length
    relative = np.where(own.positive[moving], step, step / np.where(params[moving] != 0.0, params[moving], 1.0))
    relative = relative / relative[np.argmax(np.abs(relative))]
    names = [own.names[j] for j in moving]
    return Sloppiness(
        condition=float(size[0] / size[-1]) if size[-1] > 0.0 else float("inf"),
        direction=dict(zip(names, relative.tolist(), strict=True)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Identifiability:
    """What the runs determine; made by `Fit.identify`.

    Attributes
    ----------
    sloppiness : Sloppiness or None
    profiles : mapping of str to Profile
        Of every parameter estimated in its own right.
    level : float
    warnings : tuple of Notice
        Code ``flat-ridge`` for each parameter that is open on a side.
    """

    sloppiness: Sloppiness | None
    profiles: Mapping[str, Profile]
    level: float
    warnings: tuple[Notice, ...]

    @property
    def ridges(self) -> tuple[str, ...]:
        """In words, what is not identified."""
        return tuple(made.ridge for made in self.profiles.values() if made.ridge is not None)

    def __str__(self) -> str:
        lines = [f"condition after scaling {self.sloppiness}"] if self.sloppiness is not None else []
        reasons = {made.reason for made in self.profiles.values()}
        if len(reasons) == 1 and None not in reasons:  # one objective, one reason: said once
            lines += [made.text() for made in self.profiles.values()]
            lines.append(f"no profile intervals: {reasons.pop()}")
        else:
            lines += [str(made) for made in self.profiles.values()]
        return "\n".join([*lines, *map(str, self.warnings)])

    def __repr__(self) -> str:
        return f"Identifiability({', '.join(self.profiles)}; {len(self.ridges)} ridges)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        sloppy = self.sloppiness
        return plain_dict(
            {
                "condition": None if sloppy is None else sloppy.condition,
                "direction": None if sloppy is None else dict(sloppy.direction),
                "profiles": {name: made.to_dict() for name, made in self.profiles.items()},
                "level": self.level,
                "ridges": list(self.ridges),
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )


def identify(fit: FitData, *, level: float, n_threads: int | None) -> Identifiability:
    """Profiles of all parameters, and the sloppy direction; see `isoloss.Fit.identify`."""
    own = fit.problem.parameters
    names = [name for name, free in zip(own.names, own.free, strict=True) if free]
    profiles = {name: profile(fit, name, None, level=level, n_threads=n_threads) for name in names}
    notices = []
    for name, made in profiles.items():
        if made.ridge is not None:
            low, high = (None if abs(end) == float("inf") else end for end in made.support)
            rough = "" if made.reason is None else " (roughly: the objective is no likelihood)"
            message = f"{made.ridge} at the {100 * level:g} % level{rough}"
            details = {"parameter": name, "low": low, "high": high, "level": level}
            notices.append(Notice(code="flat-ridge", severity="warning", message=message, details=details))
    return Identifiability(
        sloppiness=fit.sloppiness,
        profiles=profiles,
        level=level,
        warnings=tuple(notices),
    )
