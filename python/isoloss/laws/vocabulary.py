r"""Vocabulary size as a part of compute-optimal training (Tao et al. 2024).

A model has N_v = V d parameters in its vocabulary and N_nv elsewhere, and reads H characters, which a vocabulary of V
cuts into D = H f(V) tokens, f(V) = 0.00639222 v^2 - 0.15811069 v + 1.20470122, v = ln V. The loss is normalised by
that of a unigram model, so that vocabularies compare:

L_u = -E + A1 / N_nv^beta + A2 / (V d)^a2 + B / D^beta

with N_nv in millions, V and d in thousands, H in billions. Three approaches of the paper predict the best vocabulary:
powers of compute, a derivative rule, and this loss.

Reference: Tao et al. (2024), arXiv:2407.13623; code and data github.com/sail-sg/scaling-with-vocab.
"""

from __future__ import annotations

from math import exp
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "TAO", "TOKENS_PER_CHARACTER"]

TAO = Source(
    "Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies", "2407.13623", "Tao et al.", 2024
)
TOKENS_PER_CHARACTER = (0.00639222, -0.15811069, 1.20470122)
"""Coefficients of v^2, v and 1 in f(V), v = ln V."""

_FAMILY = "vocabulary"
_RERUN = "released code of github.com/sail-sg/scaling-with-vocab, rerun on its data"
_V = "log(min(V, 200000))"
_F = f"({TOKENS_PER_CHARACTER[0]} * {_V}**2 - {-TOKENS_PER_CHARACTER[1]} * {_V} + {TOKENS_PER_CHARACTER[2]})"


def _loss() -> Law:
    """Approach 3: the loss itself."""
    return law(
        f"-E + A1 / (N_nv / 1e6)**beta + A2 / (V / 1e3 * d / 1e3)**a2 + B / (H / 1e9 * {_F})**beta",
        name="vocabulary",
        target="L_u",
        target_unit="nats per token above a unigram model",
        vars=["N_nv", "V", "d", "H"],
        positive=["E", "A1", "A2", "B"],
        bounds={"beta": (0.1, 1.0), "a2": (0.1, 1.0)},
        starts={"beta": (0.2, 0.4, 0.7), "a2": (0.2, 0.5, 0.8)},
        meanings={
            "E": "how far the unigram-normalised loss falls in the end [nats per token]",
            "A1": "scale of the term of the other parameters",
            "beta": "exponent of the other parameters and of the data, tied",
            "A2": "scale of the vocabulary's term",
            "a2": "exponent of the vocabulary's parameters",
            "B": "scale of the data's term",
        },
        units={
            "N_nv": "parameters outside the vocabulary",
            "V": "entries of the vocabulary",
            "d": "width of the embedding",
            "H": "characters of training text",
        },
        recipe=Recipe(
            Huber(1e-3, space="raw"),
            "runs above 2.18e17 FLOPs, exponents kept in (0.1, 1), the start with the least relative squared error",
        ),
        family=_FAMILY,
        status="verified",
        source=TAO,
        notes=(
            "The loss is below zero where the model beats unigram frequencies; fit it on levels, not logarithms.",
            (
                "A2 and a2 lie on a ridge: a rerun with another SciPy moves them to 0.20001 and 0.67695, the rest "
                "unchanged."
            ),
            "FLOPs are 6 (N_nv + V d) D with D = H f(V). V above 200,000 counts as 200,000 in f.",
            (
                "A caption in the released read-me says the reverse of the paper: the vocabulary grows slower (0.83 to "
                "0.86) "
                "than the rest."
            ),
        ),
        published={
            "tao2024": Published(
                {
                    "E": 5.53278,
                    "A1": 1.83139,
                    "beta": 0.446606,
                    "A2": 0.195842,
                    "a2": 0.670737,
                    "B": 2.12411,
                },
                _RERUN,
                note="approach 3",
            )
        },
    )


def _optimum(name: str, target: tuple[str, str], k: float, p: float) -> Law:
    """Approach 1: a power of compute."""
    return law(
        "k * C**p",
        name=name,
        target=target[0],
        target_unit=target[1],
        positive=["k"],
        bounds={"p": (0.0, 2.0)},
        starts={"p": (0.3, 0.5, 0.7)},
        meanings={"k": f"{target[1]} at one FLOP", "p": "exponent of compute"},
        units={"C": "FLOPs as 6 (N_nv + N_v) D"},
        recipe=Recipe(
            Huber(1e-3, space="log"),
            "envelope of the best runs; the exponents of N_nv and H held at 0.5, that of N_v free",
        ),
        family=_FAMILY,
        status="verified",
        source=TAO,
        published={"tao2024": Published({"k": exp(k), "p": p}, _RERUN, note="approach 1")},
    )


def _derivative() -> Law:
    """Approach 2: vocabulary parameters from the others."""
    return law(
        "N_v0 * (N_nv / 33e6)**g",
        name="vocabulary_rule",
        target="N_v",
        target_unit="parameters of the vocabulary",
        vars=["N_nv"],
        positive=["N_v0"],
        bounds={"g": (0.0, 2.0)},
        starts={"g": (0.5, 0.8, 1.1)},
        meanings={
            "N_v0": "best vocabulary parameters of a model with 33M others [parameters]",
            "g": "how much slower than the rest the vocabulary grows",
        },
        units={"N_nv": "parameters outside the vocabulary"},
        recipe=Recipe(Huber(1e-3, space="log"), "zero of the derivative of FLOPs in V, then a power law"),
        family=_FAMILY,
        status="verified",
        source=TAO,
        notes=(
            "Divide by the width of the embedding for its entries.",
            "A 7B model of width 4096 gets 67,450 entries; approach 1 gives 62,280.",
        ),
        published={"tao2024": Published({"N_v0": 3145728.0, "g": 0.8353974}, _RERUN, note="approach 2")},
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "vocabulary": _loss,
        "vocabulary_N_nv": lambda: _optimum(
            "vocabulary_N_nv", ("N_nv", "parameters outside the vocabulary"), -2.48465, 0.5
        ),
        "vocabulary_N_v": lambda: _optimum(
            "vocabulary_N_v", ("N_v", "parameters of the vocabulary"), -1.58903, 0.41636
        ),
        "vocabulary_H": lambda: _optimum("vocabulary_H", ("H", "characters of training text"), 1.85959, 0.5),
        "vocabulary_rule": _derivative,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
