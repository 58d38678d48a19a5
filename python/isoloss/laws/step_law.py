r"""The Step Law: the best peak learning rate and batch size from model size and data.

Li et al. (2025) search learning rate and batch size on a grid for 17 pairs of N and D and find the plateau of good
settings at lr = c N^alpha D^beta and a batch of d D^gamma tokens. `isoloss.rules` has the interval that their 1,000
bootstrap refits give (``step_law_interval``) and what a setting away from the best costs (``step_law_penalty``).
"""

from __future__ import annotations

from math import exp
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BOOTSTRAP", "ENTRIES", "STEP_LAW", "steplaw_batch", "steplaw_lr"]

_FAMILY = "step_law"
STEP_LAW = Source(
    "Predictable Scale: Part I, Step Law - Optimal Hyperparameter Scaling Law in Large Language Model Pretraining",
    "2503.04715",
    "Li et al.",
    2025,
)
BOOTSTRAP = (
    "mean of the 1,000 bootstrap refits in step-law/steplaw, data/1004_fitted_lr_bs_scaling_model_parameters.csv"
)
_TABLE = "arXiv:2503.04715v7, table 2"
_RECIPE = (
    "every run whose smoothed loss is within 0.25 % of its (N, D) cell's best, least squares in logarithms, mean of "
    "1,000 "
    "resamples of those runs"
)
_REFIT = (
    "The released runs lack cells that the authors used (60M, 120M, 2B tokens): their recipe gives lr 77.7 N^-0.766 "
    "D^0.197 and batch 0.209 D^0.613 on them."
)


def steplaw_lr() -> Law:
    """Peak learning rate, lr = c N^alpha D^beta.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.laws.get('steplaw_lr').bind('table2')(N='7B', D='1.4T'):.4g}"
    '0.0009166'
    """
    return law(
        "c * N**alpha * D**beta",
        name="steplaw_lr",
        positive=["c"],
        bounds={"alpha": (-2.0, 1.0), "beta": (-1.0, 2.0)},
        starts={"alpha": (-0.7, -0.3), "beta": (0.0, 0.3)},
        meanings={
            "c": "learning rate at N = D = 1",
            "alpha": "exponent of size",
            "beta": "exponent of data",
        },
        units={"N": "parameters without embeddings"},
        target="lr",
        target_unit="peak learning rate of AdamW, cosine to 1e-5",
        recipe=Recipe(SquaredError(space="log"), _RECIPE),
        family=_FAMILY,
        status="verified",
        source=STEP_LAW,
        notes=(
            _REFIT,
            "In mixtures of experts N is the total: the active parameters would give up to 9 times too much.",
            (
                "One sentence of v7 says that the best learning rate rises with N; coefficients and data say that it "
                "falls."
            ),
            "Too high costs far more than too low: runs begin to diverge at four times the best.",
        ),
        published={
            "table2": Published({"c": 1.79, "alpha": -0.713, "beta": 0.307}, _TABLE),
            "bootstrap_mean": Published(
                {"c": exp(0.5863077907399268), "alpha": -0.7129222911869904, "beta": 0.30749095041206964},
                BOOTSTRAP,
                note="the mean of ln c; coefficients are strongly correlated, see the rule step_law_interval",
                intervals={
                    "c": (exp(-0.6478897758080235), exp(1.7647932198907832)),
                    "alpha": (-0.7744041306358272, -0.65537236513942),
                    "beta": (0.2712471048749467, 0.3451038841068156),
                },
            ),
        },
    )


def steplaw_batch() -> Law:
    """Batch size in tokens, B = d D^gamma.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.laws.get('steplaw_batch').bind('table2')(D='100B'):.4g}"
    '1.108e+06'
    """
    return law(
        "d * D**gamma",
        name="steplaw_batch",
        positive=["d"],
        bounds={"gamma": (-1.0, 2.0)},
        starts={"gamma": (0.2, 0.5, 0.8)},
        meanings={"d": "batch at D = 1 [tokens]", "gamma": "exponent of data"},
        target="batch",
        target_unit="tokens per optimiser step",
        recipe=Recipe(SquaredError(space="log"), _RECIPE),
        family=_FAMILY,
        status="verified",
        source=STEP_LAW,
        notes=(
            _REFIT,
            "Divide by the sequence length for sequences.",
            "Size adds nothing: the exponent of N is -0.087 with 95 % interval [-0.241, 0.067] (appendix A.5).",
        ),
        published={
            "table2": Published({"d": 0.58, "gamma": 0.571}, _TABLE),
            "bootstrap_mean": Published(
                {"d": exp(-0.5435421736103339), "gamma": 0.5709443646895045},
                BOOTSTRAP,
                note="the mean of ln d; ln d and gamma have correlation -0.9986, see the rule step_law_interval",
                intervals={
                    "d": (exp(-1.3564965579442698), exp(0.3217098235692125)),
                    "gamma": (0.5340324108021405, 0.6055078401137859),
                },
            ),
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"steplaw_lr": steplaw_lr, "steplaw_batch": steplaw_batch})
"""The laws of this family by name; each is built when it is first asked for."""
