r"""One pool of data, repeated: utility of a sample that halves every tau epochs.

Goyal et al. (2024). With n samples in the pool, x samples seen, X_j = min(n (j + 1), x) after epoch j and Z = 1e5:

* utility: error = [(a X_0/Z)^b + d] prod_j (X_j/X_{j-1})^(b 2^(-j/tau))
* effective data: error = (sum_j a (X_j - X_{j-1})/Z 2^(-j/tau))^b + d

Both stand here for a stated number of epochs, after which more samples change nothing. Mixtures of pools, and how much
to keep, are rules: ``qqt_mixture``, ``qqt_best_pools``.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.errors import OptionError
from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "QQT", "READ", "qqt_effective", "qqt_utility"]

_FAMILY = "data_filtering"
QQT = Source(
    "Scaling Laws for Data Filtering - Data Curation cannot be Compute Agnostic", "2404.07177", "Goyal et al.", 2024
)
READ = "locuslab/scaling_laws_data_filtering, results/parameter_values.jsonl at cf5ced1 (removed later)"
_POOLS = ("top_0_10", "top_10_20", "top_20_30", "top_30_40", "random_quarter")
_UTILITY = ((-0.160, 6.727), (-0.125, 8.545), (-0.100, 5.273), (-0.085, 2.273), (-0.120, 6.0))
_EFFECTIVE = ((-0.18227, 4.0), (-0.14485, 4.3636), (-0.13530, 2.9091), (-0.09758, 1.4545), (-0.14197, 3.4545))


def _seen(epoch: int) -> str:
    """Samples seen by the end of an epoch, counted from 1."""
    return "min(n, x)" if epoch == 1 else f"min({epoch} * n, x)"


def _half(j: int) -> str:
    return "0.5**(1 / tau)" if j == 1 else f"0.5**({j} / tau)"


def _law(
    name: str, text: str, a: float, values: tuple[tuple[float, float], ...], sse: str, epochs: int, note: str
) -> Law:
    return law(
        text,
        name=name if epochs == 10 else f"{name}_{epochs}",
        vars=["x", "n"],
        positive=["a", "tau"],
        bounds={"a": (1e-4, 0.2), "b": (-0.5, -0.005), "d": (0.0, "min_loss"), "tau": (0.5, 100.0)},
        starts={"a": (0.02,), "b": (-0.05, -0.15, -0.3), "tau": (2.0, 5.0, 10.0), "d": (0.05, 0.1)},
        constants={"Z": 1e5},
        meanings={
            "a": "scale of the samples; shared by all pools",
            "b": "utility of a fresh sample, the exponent of error",
            "tau": "half-life of the utility [epochs]",
            "d": "irreducible error",
        },
        units={"x": "samples seen in training", "n": "samples in the pool, one epoch"},
        target="Err",
        target_unit="error on ImageNet-1k, 0 to 1",
        recipe=Recipe(
            SquaredError(space="raw"),
            "grid search with a and d fixed: five evaluations a pool, after 2, 4, 6, 8 and 10 epochs",
        ),
        family=_FAMILY,
        status="verified",
        source=QQT,
        notes=(
            f"Holds up to {epochs} epochs; {name}(epochs) of isoloss.laws.data_filtering makes it for others.",
            "Fix a and d as the authors do: with b they are hardly told apart by one pool.",
            note,
        ),
        published={
            key: Published(
                {"a": a, "b": b, "tau": tau, "d": 0.1}, READ, note=f"T-MARS pool of 12.8M samples; mean SSE {sse}"
            )
            for key, (b, tau) in zip(_POOLS, values, strict=True)
        },
    )


def _check(epochs: int) -> None:
    if not 2 <= epochs <= 100:
        raise OptionError(f"epochs: {epochs} is not from 2 to 100", argument="epochs")


def qqt_utility(epochs: int = 10) -> Law:
    """Error when each repeat has less utility.

    Parameters
    ----------
    epochs : int
        Most epochs that the law can tell; 2 to 100.

    Raises
    ------
    OptionError
        Code ``option``: another number of epochs.

    Examples
    --------
    >>> import isoloss as iso
    >>> pool = iso.laws.get("qqt_utility").bind("top_0_10")
    >>> pool(x=[32e6, 128e6], n=12.8e6).round(4)
    array([0.8175, 0.7127])
    """
    _check(epochs)
    decay = " + ".join(f"{_half(j)} * log({_seen(j + 1)} / {_seen(j)})" for j in range(1, epochs))
    text = f"((a * min(n, x) / Z)**b + d) * exp(b * ({decay}))"
    note = "d stands inside the product, as in the code: the floor decays too."
    return _law("qqt_utility", text, 0.025, _UTILITY, "2.90e-5", epochs, note)


def qqt_effective(epochs: int = 10) -> Law:
    """Error when each repeat counts as less data.

    Parameters
    ----------
    epochs : int
        Most epochs that the law can tell; 2 to 100.

    Raises
    ------
    OptionError
        Code ``option``: another number of epochs.

    Examples
    --------
    >>> import isoloss as iso
    >>> pool = iso.laws.get("qqt_effective").bind("top_0_10")
    >>> pool(x=[32e6, 128e6], n=12.8e6).round(4)
    array([0.8175, 0.7137])
    """
    _check(epochs)
    repeats = " + ".join(f"{_half(j)} * ({_seen(j + 1)} - {_seen(j)})" for j in range(1, epochs))
    text = f"(a / Z * (min(n, x) + {repeats}))**b + d"
    note = "The form that Muennighoff et al. (2023) suggest for repeats, in this paper's units."
    return _law("qqt_effective", text, 0.022, _EFFECTIVE, "2.53e-5", epochs, note)


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {"qqt_utility": partial(qqt_utility, 10), "qqt_effective": partial(qqt_effective, 10)}
)
"""The laws of this family by name; each is built when it is first asked for."""
