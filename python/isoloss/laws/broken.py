r"""Broken neural scaling laws: power laws that change slope smoothly at each of n breaks (Caballero et al. 2023).

y = a + b x^(-c0) prod_i (1 + (x / d_i)^(1 / f_i))^(-c_i f_i)

The slope of ln(y - a) is -c0 before the first break, -(c0 + c1) after it, and so on; f_i is how gradual break i is. The
text writes each factor as exp(-c_i f_i softplus(ln(x / d_i) / f_i)), which does not overflow where a break is sharp.

Reference: Caballero et al. (2023), "Broken Neural Scaling Laws", arXiv:2210.14891, equation 1.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "broken"]

CABALLERO = Source("Broken Neural Scaling Laws", "2210.14891", "Caballero et al.", 2023)

_RECIPE = Recipe(
    SquaredError(space="log"),
    "the authors search a grid of starts by mean squared error of log(y + 1), with b and d as powers of 1.25, then "
    "polish; residuals on log(y + 1) matter only where y is near zero",
)
_ADDITION = Published(
    {
        "a": 0.41388,
        "b": 2.27727,
        "c0": 0.0550773,
        "c1": 5.66290,
        "d1": 612.5837,
        "f1": 0.0591930,
    },
    "released script of the four-digit addition example, rerun",
    note="D counts training examples here, not tokens; the first 14 of 17 points were fitted",
)


def broken(breaks: int, variable: str) -> Law:
    """The law with a number of breaks in one variable.

    Parameters
    ----------
    breaks : int
        One to three; 3 + 3 n parameters.
    variable : {"N", "D", "C"}

    Returns
    -------
    Law

    Examples
    --------
    >>> from isoloss.laws.broken import broken
    >>> list(broken(1, "D").parameters)
    ['a', 'b', 'c0', 'c1', 'f1', 'd1']
    """
    numbers = range(1, breaks + 1)
    factors = [f"exp(-c{i} * f{i} * ({_softplus(f'log({variable} / d{i}) / f{i}')}))" for i in numbers]
    name = "bnsl" if breaks == 1 else f"bnsl_{breaks}"
    return law(
        f"a + b * {variable}**(-c0) * " + " * ".join(factors),
        name=name if variable == "C" else f"{name}_{variable}",
        vars=[variable],
        positive=["a", "b", *(f"d{i}" for i in numbers), *(f"f{i}" for i in numbers)],
        bounds={
            "c0": (-1.0, 3.0),
            **{f"c{i}": (-10.0, 10.0) for i in numbers},
            **{f"f{i}": (1e-3, 5.0) for i in numbers},
        },
        meanings={
            "a": "limit far beyond the last break [unit of the metric]",
            "b": f"scale of the power law before the breaks, the metric above the limit at {variable} = 1",
            "c0": "slope before the first break",
            **{f"c{i}": f"change of slope at break {i}, of either sign" for i in numbers},
            **{f"d{i}": f"where break {i} is [unit of {variable}]" for i in numbers},
            **{f"f{i}": f"how gradual break {i} is, in factors of e; near zero is sharp" for i in numbers},
        },
        recipe=_RECIPE,
        family="broken",
        status="verified" if (breaks, variable) == (1, "D") else "form verified",
        source=CABALLERO,
        notes=(
            (
                "The metric may be a loss, an error or anything else; a rising slope (double descent) has c of the "
                "other sign."
            ),
            "With several breaks their names are interchangeable: a fit may return them in any order.",
            "Runs must lie beyond a break for it to be found: the authors' noiseless example needs points past it.",
        ),
        published={"caballero2023_addition": _ADDITION} if (breaks, variable) == (1, "D") else {},
    )


def _softplus(z: str) -> str:
    return f"max({z}, 0) + log1p(exp(-abs({z})))"


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "bnsl": partial(broken, 1, "C"),
        "bnsl_2": partial(broken, 2, "C"),
        "bnsl_3": partial(broken, 3, "C"),
        "bnsl_N": partial(broken, 1, "N"),
        "bnsl_D": partial(broken, 1, "D"),
        "bnsl_2_D": partial(broken, 2, "D"),
        "bnsl_3_D": partial(broken, 3, "D"),
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
