r"""From pre-training to the task: translation scores, task losses and accuracies, other losses, observational laws.

* Isik et al. 2024: BLEU against pretraining tokens, (ln(A D^alpha))^beta, where pretraining and task are aligned.
* Bhagia et al. 2024 (task ladders): loss of the task's right answers in bits per byte, E + A / N^alpha + B / D^beta,
  then accuracy by a sigmoid of that loss, a / (1 + exp(-k (L - L0))) + b; or both in one step.
* Brandfonbrener et al. 2024: one loss against another of the same runs, K (L0 - E0)^kappa + E1.
* Ruan et al. 2024 (observational): a benchmark as a sigmoid of a few principal components of other benchmarks, which in
  turn grow as the logarithm of compute within a family of models.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber, SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BHAGIA", "ENTRIES", "ISIK", "RUAN"]

ISIK = Source("Scaling Laws for Downstream Task Performance in Machine Translation", "2402.04177", "Isik et al.", 2024)
BHAGIA = Source(
    "Establishing Task Scaling Laws via Compute-Efficient Model Ladders", "2412.04403", "Bhagia et al.", 2024
)
BRANDFONBRENER = Source(
    "Loss-to-Loss Prediction: Scaling Laws for All Datasets", "2411.12925", "Brandfonbrener et al.", 2024
)
RUAN = Source(
    "Observational Scaling Laws and the Predictability of Language Model Performance", "2405.10938", "Ruan et al.", 2024
)

_FAMILY = "downstream"
_LADDER = "released code of github.com/allenai/OLMo-ladder, rerun; equals its stored table"
_TWO_DIGITS = "exponents printed to two digits: good to 7 % within the ladder, not for prediction"

# Task: A, alpha, B, beta, E of the loss; a, k, L0, b of the accuracy.
_TASKS = {
    "mmlu": ((38.07, 0.23, 100.09, 0.24, 0.45), (-0.74, 4.83, 0.62, 1.0)),
    "hellaswag": ((11.23, 0.20, 60.37, 0.26, 0.50), (-0.73, 12.74, 0.77, 0.99)),
    "arc_challenge": ((702975.0, 0.79, 38.45, 0.20, 0.65), (-0.78, 5.91, 0.71, 1.0)),
    "arc_easy": ((79412.0, 0.66, 3957.5, 0.42, 0.56), (-0.65, 4.13, 0.74, 1.0)),
    "piqa": ((405.66, 0.40, 10.16, 0.15, 0.72), (-0.46, 5.03, 0.96, 1.0)),
    "csqa": ((56.86, 0.23, 10.91, 0.11, 0.0), (-0.86, 2.21, 1.13, 1.0)),
    "socialiqa": ((1200.9, 0.45, 7897.2, 0.48, 0.95), (-0.60, 7.16, 0.89, 1.0)),
    "openbookqa": ((86346.0, 0.69, 137.35, 0.26, 1.20), (-0.79, 4.31, 1.08, 1.0)),
}
_LOSS_MEANINGS = {
    "E": "task loss that neither size nor data removes [bits per byte]",
    "A": "scale of the size term",
    "alpha": "exponent of size",
    "B": "scale of the data term",
    "beta": "exponent of data",
}
_LOSS_BOUNDS = {"E": (0.0, None), "alpha": (0.0, 2.0), "beta": (0.0, 2.0)}
_LOSS_STARTS = {"alpha": (0.1, 0.25, 0.5, 0.9), "beta": (0.1, 0.25, 0.5, 0.9)}
_SIGMOID_MEANINGS = {
    "a": "chance minus ceiling, below zero",
    "k": "steepness [bytes per bit]",
    "L0": "task loss half way between chance and ceiling [bits per byte]",
    "b": "accuracy at zero loss",
}
_SIGMOID_BOUNDS = {"a": (-1.0, 0.0), "b": (0.0, 1.0)}
_SIGMOID_STARTS = {"k": (2.0, 5.0, 12.0), "L0": (0.6, 0.9, 1.3)}


def _isik() -> Law:
    """Translation score against pretraining tokens."""
    return law(
        "(log(A) + alpha * log(D))**beta",
        name="isik_score",
        target="BLEU",
        target_unit="BLEU points",
        positive=["A", "beta"],
        bounds={"alpha": (1e-4, 5.0), "beta": (0.1, 5.0)},
        starts={"A": (1e-3, 1.0, 1e3), "alpha": (0.1, 0.5, 1.5), "beta": (0.5, 1.0, 2.0)},
        meanings={
            "A": "scale inside the logarithm; A D^alpha must exceed 1",
            "alpha": "exponent of pretraining tokens inside the logarithm",
            "beta": "power of the logarithm",
        },
        units={"D": "pretraining tokens, none repeated"},
        recipe=Recipe(
            Huber(0.1, space="log"), "L-BFGS from a grid of starts on the four smallest D, the rest held out"
        ),
        family=_FAMILY,
        status="second hand",
        source=ISIK,
        notes=(
            "BLEU, COMET or ROUGE: higher is better; one set for one pretraining mixture, task and fine-tuning set.",
            (
                "Holds where pretraining is aligned with the task. Where it is not the score stalls or falls while the "
                "loss, "
                "E + A / D^alpha (power_law_D), keeps falling: see the rule translation_alignment."
            ),
            "A and beta are strongly tied; bound beta.",
        ),
    )


def _task_loss() -> Law:
    """Loss of the right answers against size and data."""
    return law(
        "E + A / N**alpha + B / D**beta",
        name="ladder_task_loss",
        target="L_task",
        target_unit="bits per byte of the right answer",
        positive=["A", "B"],
        bounds=_LOSS_BOUNDS,
        starts=_LOSS_STARTS,
        meanings=_LOSS_MEANINGS,
        units={"N": "parameters without embeddings"},
        recipe=Recipe(
            Huber(1e-3, space="log"),
            "L-BFGS from (A, B, alpha, beta, E) = (e^3, e^6, 0.1, 0.2, 1), losses "
            "averaged over the last five checkpoints",
        ),
        family=_FAMILY,
        status="verified",
        source=BHAGIA,
        notes=("Five shots.", "Runs below one Chinchilla multiple are left out."),
        published={
            f"bhagia2024_{task}": Published(
                dict(zip(("A", "alpha", "B", "beta", "E"), loss, strict=True)), _LADDER, note=_TWO_DIGITS
            )
            for task, (loss, _) in _TASKS.items()
        },
    )


def _task_accuracy() -> Law:
    """Accuracy against task loss."""
    return law(
        "a / (1 + exp(-k * (L_task - L0))) + b",
        name="ladder_accuracy",
        target="accuracy",
        target_unit="share of right answers",
        vars=["L_task"],
        positive=["k", "L0"],
        bounds=_SIGMOID_BOUNDS,
        starts=_SIGMOID_STARTS,
        meanings=_SIGMOID_MEANINGS,
        units={"L_task": "bits per byte of the right answer"},
        recipe=Recipe(
            SquaredError(), "checkpoints after the first 10 %; start (min - 1, 0.9, 3, max) of the accuracies"
        ),
        family=_FAMILY,
        status="verified",
        source=BHAGIA,
        notes=("Seven of eight published b end at their bound 1: the ceiling is the bound's, not the data's.",),
        published={
            f"bhagia2024_{task}": Published(
                dict(zip(("a", "k", "L0", "b"), step, strict=True)), _LADDER, note="two digits"
            )
            for task, (_, step) in _TASKS.items()
        },
    )


def _chained() -> Law:
    """Both steps in one: accuracy against size and data."""
    return law(
        "a / (1 + exp(-k * (E + A / N**alpha + B / D**beta - L0))) + b",
        name="ladder_chained",
        target="accuracy",
        target_unit="share of right answers",
        positive=["A", "B", "k", "L0"],
        bounds={**_LOSS_BOUNDS, **_SIGMOID_BOUNDS},
        starts={"alpha": (0.25, 0.6), "beta": (0.15, 0.3), "k": (3.0, 10.0), "L0": (0.6, 1.2)},
        meanings={**_LOSS_MEANINGS, **_SIGMOID_MEANINGS},
        units={"N": "parameters without embeddings"},
        recipe=Recipe(SquaredError(), "the two steps fitted apart, then chained"),
        family=_FAMILY,
        status="verified",
        source=BHAGIA,
        notes=(
            "Fitted in one piece, E and L0 are one parameter: fix one of them.",
            "Errors of the chain are those of both steps; the paper's are 3.8 points at 7B and 4.2 at 13B on average.",
        ),
        published={
            f"bhagia2024_{task}": Published(
                {
                    **dict(zip(("A", "alpha", "B", "beta", "E"), loss, strict=True)),
                    **dict(zip(("a", "k", "L0", "b"), step, strict=True)),
                },
                _LADDER,
                note=_TWO_DIGITS,
            )
            for task, (loss, step) in _TASKS.items()
        },
    )


def _loss_to_loss() -> Law:
    """One loss against another of the same runs."""
    return law(
        "K * (L0 - E0)**kappa + E1",
        name="loss_to_loss",
        target="L1",
        target_unit="nats per token on the second data",
        vars=["L0"],
        positive=["K"],
        bounds={"E0": (0.0, None), "E1": (0.0, None), "kappa": (0.05, 5.0)},
        starts={"E0": (0.5, 1.0, 1.5), "kappa": (0.5, 1.0, 1.5)},
        meanings={
            "K": "scale",
            "E0": "irreducible loss on the first data, below every L0 [nats per token]",
            "kappa": "ratio of how fast the two losses fall",
            "E1": "irreducible loss on the second data [nats per token]",
        },
        units={"L0": "nats per token on the first data"},
        recipe=Recipe(Huber(1e-3, space="log"), "E0 and E1 taken from a law in N and D on each of the two data sets"),
        family=_FAMILY,
        status="second hand",
        source=BRANDFONBRENER,
        notes=(
            "Train to train, train to test and test to test alike; runs are paired by size and data.",
            "Alone, E0, kappa and K are hard to tell apart: fix E0 and E1 from fits of power_law_N or chinchilla.",
        ),
    )


_COMPONENTS = ("S1", "S2", "S3")


def _observational() -> Law:
    """A benchmark against principal components of others."""
    return law(
        "h + (1 - h) * expit(w0 + w1 * S1 + w2 * S2 + w3 * S3)",
        name="observational",
        target="score",
        target_unit="score of the benchmark, 0 to 1",
        vars=list(_COMPONENTS),
        bounds={"h": (0.0, 0.2), **dict.fromkeys(("w0", "w1", "w2", "w3"), (-100.0, 100.0))},
        starts={"h": (0.02, 0.1), "w0": (-1.0, 0.0, 1.0), "w1": (0.3, 3.0), "w2": (0.03,), "w3": (0.03,)},
        meanings={
            "h": "score of guessing",
            "w0": "score of an average model, on the scale of the logit",
            **{f"w{i}": f"weight of component {i}" for i in (1, 2, 3)},
        },
        units=dict.fromkeys(_COMPONENTS, "principal component of standard benchmarks"),
        recipe=Recipe(
            SquaredError(),
            "gaps filled by one principal component, three of five components kept, models below a cut of compute "
            "fitted "
            "(84e21 FLOPs, Llama-2-7B), weights from 0.03",
        ),
        family=_FAMILY,
        status="form verified",
        source=RUAN,
        notes=(
            "The components come from the rule capability_components.",
            "Three components hold about 97 % of the variance of eight benchmarks, the first about 80 %.",
        ),
    )


def _capability() -> Law:
    """A principal component against compute within a family of models."""
    return law(
        "theta * log(C) + nu",
        name="observational_compute",
        target="S",
        target_unit="principal component of standard benchmarks",
        bounds={"theta": (-100.0, 100.0), "nu": (-1e4, 1e4)},
        meanings={
            "theta": "capability per factor e of compute, a family's efficiency",
            "nu": "capability at one FLOP",
        },
        recipe=Recipe(SquaredError(), "straight line, one family of models at a time"),
        family=_FAMILY,
        status="form verified",
        source=RUAN,
        notes=("Solved for C it gives the compute a reference family would need for the same capability.",),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "isik_score": _isik,
        "ladder_task_loss": _task_loss,
        "ladder_accuracy": _task_accuracy,
        "ladder_chained": _chained,
        "loss_to_loss": _loss_to_loss,
        "observational": _observational,
        "observational_compute": _capability,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
