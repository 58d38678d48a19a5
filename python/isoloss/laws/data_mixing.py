r"""Loss on one domain against the shares of the training mixture (Ye et al. 2024).

L_i(r) = c_i + k_i exp(sum_j t_ij r_j), r the shares of the domains, which sum to one. One law per validation domain.
Because the shares sum to one, adding a constant to every t_ij and dividing k_i by its exponential changes nothing:
fix one t or k when fitting (``fix={"k": 1.0}``).

Reference: Ye et al. (2024), "Data Mixing Laws", arXiv:2403.16952, equation 6.
"""

from __future__ import annotations

from functools import partial
from math import exp
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "data_mixing"]

YE = Source(
    "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
    "2403.16952",
    "Ye et al.",
    2024,
)

# ln c, ln k, t1 to t5 of the 70M model after 30,000 steps; the released notebook.
_FIVE = {
    "academic": (0.9750, -2.1391, -10.0864, 2.7140, 2.7106, 2.6083, 1.5866),
    "prose": (1.2624, -2.1656, 1.3930, -4.6811, 0.7855, 1.8719, 0.5734),
    "dialogue": (1.1375, -7.1017, 6.7135, 6.2643, -31.8621, 6.6423, 6.2053),
    "symbolic": (0.4750, -3.6546, 3.3289, 3.6705, 3.1127, -16.4217, 3.1591),
    "internet": (1.2402, -1.9510, 1.1897, 0.8697, -0.5184, 1.7122, -3.0870),
}


def _set(numbers: tuple[float, ...]) -> Published:
    log_c, log_k, *slopes = numbers
    return Published(
        {"c": exp(log_c), "k": exp(log_k), **{f"t{j}": t for j, t in enumerate(slopes, 1)}},
        "Ye et al. 2024, arXiv:2403.16952, output of the released notebook (explicit five-domain law)",
        note="70M model, step 30,000; its fit saw the mixtures it is scored on",
    )


def data_mixing(domains: int) -> Law:
    """The law for a number of training domains.

    Parameters
    ----------
    domains : int
        Variables r1, r2, ... hold the shares.

    Returns
    -------
    Law

    Examples
    --------
    >>> from isoloss.laws.data_mixing import data_mixing
    >>> data_mixing(3).expr
    'c + k * exp(t1 * r1 + t2 * r2 + t3 * r3)'
    """
    shares = [f"r{j}" for j in range(1, domains + 1)]
    slopes = [f"t{j}" for j in range(1, domains + 1)]
    exponent = " + ".join(f"{t} * {r}" for t, r in zip(slopes, shares, strict=True))
    return law(
        f"c + k * exp({exponent})",
        name=f"data_mixing_{domains}",
        vars=shares,
        positive=["c", "k"],
        bounds=dict.fromkeys(slopes, (-50.0, 50.0)),
        meanings={
            "c": "loss of the domain that no mixture removes [nats per token]",
            "k": "loss above c where all slopes are zero [nats per token]",
            **{t: f"slope of ln(L - c) in the share of domain {j}" for j, t in enumerate(slopes, 1)},
        },
        units=dict.fromkeys(shares, "share of the training tokens, 0 to 1"),
        recipe=Recipe(
            Huber(0.05, space="raw"),
            "c from 10 and k from 20 values in logarithm, 30 random slopes each, L-BFGS; delta 0.02 for two domains",
        ),
        family="data_mixing",
        status="verified" if domains == 5 else "form verified",
        source=YE,
        notes=(
            (
                "Slopes and k are identified only up to a shift, because the shares sum to one: fix k (or one slope) "
                "to fit."
            ),
            "One validation domain at a time; their weighted sum is the overall loss.",
            (
                "The errors printed by the released notebook are of mixtures that it also fitted, and its pipeline "
                "is a "
                "boosted small network rather than this law."
            ),
            (
                "The paper carries each domain on in steps and size by c + (x0 / x)^alpha: see power_law_N and "
                "power_law_D."
            ),
        ),
        published={f"ye2024_{name}": _set(numbers) for name, numbers in _FIVE.items()} if domains == 5 else {},
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {f"data_mixing_{domains}": partial(data_mixing, domains) for domains in (2, 3, 5)}
)
"""The laws of this family by name; each is built when it is first asked for."""
