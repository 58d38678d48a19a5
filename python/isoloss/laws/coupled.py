r"""Laws in size and data beyond the plain sum of two terms, and laws that change what size means.

* An outer exponent couples the two: L = E + (A / N^alpha + B / D^beta)^k, the Skaling form; k = 1 is the plain sum,
  other k make the gain from size depend on the data. Laws for distillation use it too.
* Average parameter count (Jin et al. 2025): under pruning the size that counts is the mean over the training tokens.
* Algorithmic progress (Ho et al. 2024): effective size and data grow exponentially with the year.
* Embeddings (Pearce and Song 2024): total size from the size without embeddings.
* Log-bilinear interaction: an exponent of the data that depends on the size, without a floor.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber, SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "JIN"]

JIN = Source(
    "The Journey Matters: Average Parameter Count over Pre-training Unifies Sparse and Dense Scaling Laws",
    "2501.12486",
    "Jin et al.",
    2025,
)
HO = Source("Algorithmic progress in language models", "2403.05812", "Ho et al.", 2024)
PEARCE = Source("Reconciling Kaplan and Chinchilla Scaling Laws", "2406.12907", "Pearce and Song", 2024)

_FAMILY = "coupled"
_EXPONENT = (0.0, 2.0)
_STARTS = (0.2, 0.4, 0.7)
_MEANINGS = {
    "E": "irreducible loss [nats per token]",
    "A": "scale of the size term",
    "alpha": "exponent of size",
    "B": "scale of the data term",
    "beta": "exponent of data",
}


def _skaling() -> Law:
    """An outer exponent around both terms."""
    return law(
        "E + (A / N**alpha + B / D**beta)**k",
        name="skaling",
        positive=["E", "A", "B", "k"],
        bounds={"alpha": _EXPONENT, "beta": _EXPONENT, "k": (0.1, 5.0)},
        starts={"alpha": _STARTS, "beta": _STARTS, "k": (0.5, 1.0, 1.6), "A": (1e2, 1e4), "B": (1e2, 1e4)},
        meanings={**_MEANINGS, "k": "outer exponent; 1 is the plain sum of Chinchilla"},
        recipe=Recipe(Huber(1e-3, space="log")),
        family=_FAMILY,
        status="second hand",
        source=Source("Skaling", authors="read in a later account", year=2026),
        notes=(
            "No coefficients were read. alpha, beta and k trade off: compare predictions, and keep k = 1 in sight.",
            "With E = 0 it is Kaplan's law in N and D, k the exponent of data.",
        ),
    )


def _interaction() -> Law:
    """Log-bilinear: the gain from data depends on the size."""
    return law(
        "exp(a + b * log(N / N0) + c * log(D / D0) + g * log(N / N0) * log(D / D0))",
        name="log_bilinear",
        pivots={"N0": "geomean", "D0": "geomean"},
        bounds={"b": (-1.0, 1.0), "c": (-1.0, 1.0), "g": (-0.5, 0.5)},
        meanings={
            "a": "ln of the loss at the middle of the runs",
            "b": "slope of ln L in ln N at the middle of the runs",
            "c": "slope of ln L in ln D at the middle of the runs",
            "g": "how the slope in ln D changes with ln N",
        },
        recipe=Recipe(SquaredError(space="log")),
        family=_FAMILY,
        status="own",
        notes=(
            (
                "Local: without a floor it must fail far outside the runs. A g clearly off zero says that size and "
                "data interact."
            ),
        ),
    )


def _average() -> Law:
    """The mean size over training in place of the size."""
    return law(
        "E + A / Nbar**alpha + B / D**beta",
        name="average_parameters",
        vars=["Nbar", "D"],
        positive=["E", "A", "B"],
        bounds={"alpha": _EXPONENT, "beta": _EXPONENT},
        starts={"alpha": (0.1, 0.25, 0.4, 0.7, 1.2), "beta": (0.1, 0.25, 0.4, 0.7, 1.2)},
        meanings=_MEANINGS,
        units={"Nbar": "parameters, mean over tokens"},
        recipe=Recipe(
            Huber(1e-3, space="log"), "not stated in what could be read; Chinchilla's recipe with the mean size"
        ),
        family=_FAMILY,
        status="form verified",
        source=JIN,
        notes=(
            "Compute is 6 Nbar D. The rule average_parameter_count gives Nbar of a pruning schedule.",
            "The best schedules of the paper prune between 25 % and 75 % of the compute (not of the tokens).",
        ),
    )


def _progress() -> Law:
    """Size and data worth more with every year."""
    return law(
        "E + A * (N * exp(g_N * (Y - Y0)))**(-alpha) + B * (D * exp(g_D * (Y - Y0)))**(-beta)",
        name="algorithmic_progress",
        vars=["N", "D", "Y"],
        positive=["E", "A", "B"],
        bounds={"alpha": _EXPONENT, "beta": _EXPONENT, "g_N": (-3.0, 5.0), "g_D": (-3.0, 5.0)},
        starts={"alpha": _STARTS, "beta": _STARTS, "g_N": (0.0, 0.5), "g_D": (0.0, 0.5)},
        pivots={"Y0": "min"},
        meanings={
            **_MEANINGS,
            "g_N": "growth of the effective size [1/year]",
            "g_D": "growth of the effective data [1/year]",
        },
        units={"Y": "year of publication"},
        recipe=Recipe(
            SquaredError(space="log"), "models of many papers and years on a few benchmarks of language modelling"
        ),
        family=_FAMILY,
        status="second hand",
        source=HO,
        notes=(
            "The paper writes the growth outside the power, exp(-g' (Y - Y0)) with g' = alpha g_N.",
            "Its headline: the compute for a given loss halves every 8.4 months (4.5 to 14.3; second hand).",
        ),
    )


def _embeddings() -> Law:
    """Total parameters from those without embeddings."""
    return law(
        "N + w * N**(1 / 3)",
        name="embedding_parameters",
        target="N_total",
        target_unit="parameters",
        positive=["w"],
        meanings={"w": "embedding parameters per cube root of the others"},
        units={"N": "parameters without embeddings"},
        recipe=Recipe(SquaredError(space="log")),
        family=_FAMILY,
        status="second hand",
        source=PEARCE,
        notes=("Converts between the two conventions of N for shapes like those of the Chinchilla models.",),
        published={
            "pearce2024": Published({"w": 47491.0}, "arXiv:2406.12907, as quoted by one account", second_hand=True)
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "skaling": _skaling,
        "log_bilinear": _interaction,
        "average_parameters": _average,
        "algorithmic_progress": _progress,
        "embedding_parameters": _embeddings,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
