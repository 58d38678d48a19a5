r"""Training on more tokens than compute-optimal, and from loss to downstream error.

Gadre et al. (2024) tie the exponents of size and data, which makes the loss at M = D/N tokens per parameter a power law
in compute with the same exponent for every M: L(C, M) = E + (a M^eta + b M^-eta) C^-eta with C = 6ND. It is the
Chinchilla law with alpha = beta = 2 eta. The average top-1 error of a suite of tasks follows
Err(L) = epsilon - k exp(-gamma L).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "GADRE", "overtraining", "overtraining_error"]

_FAMILY = "overtraining"
GADRE = Source(
    "Language models scale reliably with over-training and on downstream tasks", "2403.08540", "Gadre et al.", 2024
)
_READ = "released runs, mlfoundations/scaling exp_data at a003c49, fitted by the recipe of scaling/laws.py"
_SETS = ("c4", "C4"), ("rpj", "RedPajama"), ("rw", "RefinedWeb")


def overtraining() -> Law:
    """L(C, M) = E + (a M^eta + b M^-eta) C^-eta.

    Examples
    --------
    >>> import isoloss as iso
    >>> known = iso.laws.get("overtraining").bind("rpj")
    >>> N, M = 1439795200, 640  # the paper's hold-out, 2.5021 when trained
    >>> round(known(C=6 * M * N**2, M=M), 4)
    2.5198
    """
    values = (
        {"E": 1.50826054, "a": 141.277255, "eta": 0.121236119, "b": 189.51552},
        {"E": 1.83664838, "a": 212.23611, "eta": 0.136425351, "b": 366.687174},
        {"E": 1.73446209, "a": 157.116284, "eta": 0.127197422, "b": 246.206687},
    )
    return law(
        "E + (a * M**eta + b * M**-eta) * C**-eta",
        name="overtraining",
        vars=["C", "M"],
        positive=["E", "a", "b", "eta"],
        bounds={"eta": (0.0, 1.0)},
        starts={"a": (1e2, 1e3), "b": (1e2, 1e3), "eta": (0.05, 0.1, 0.15, 0.2, 0.3)},
        meanings={
            "E": "irreducible loss [nats per token]",
            "a": "scale of the size term",
            "eta": "exponent of compute; half the exponent of N and of D",
            "b": "scale of the data term",
        },
        units={"C": "FLOPs, 6 N D", "M": "tokens per parameter, D / N"},
        recipe=Recipe(
            SquaredError(space="raw"),
            "five runs: M = 20 at 11M, 79M, 154M and 412M, and 11M at M = 320; 128 starts of least squares on loss",
        ),
        family=_FAMILY,
        status="verified",
        source=GADRE,
        notes=(
            "N counts all parameters, embeddings too.",
            "The code writes alpha N^b + beta 6^(b/2) (M N)^b + E with b = -2 eta, a = alpha 6^eta.",
            "Five runs hardly say which M is best: (b/a)^(1/(2 eta)) is 3 to 7 tokens per parameter.",
        ),
        published={
            key: Published(params, _READ, note=f"trained on {what}, C4 evaluation; the paper prints fewer digits")
            for (key, what), params in zip(_SETS, values, strict=True)
        },
    )


def overtraining_error() -> Law:
    """Err(L) = epsilon - k exp(-gamma L), the average top-1 error of a suite of tasks.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("overtraining_error").bind("rpj_17")(L=2.425), 4)
    0.4669
    """
    values = {
        "c4_17": (0.849742292, 2.07889917, 0.75611914),
        "rpj_17": (0.856991907, 2.20649064, 0.714590662),
        "rw_17": (0.865279495, 2.21481585, 0.707048705),
        "c4_46": (0.758949471, 1.28851378, 0.972163561),
        "rpj_46": (0.76084939, 1.32290703, 0.890710347),
        "rw_46": (0.767679183, 1.12807562, 0.82152328),
    }
    trained = dict(_SETS)
    return law(
        "epsilon - k * exp(-gamma * L)",
        name="overtraining_error",
        vars=["L"],
        positive=["k", "gamma"],
        bounds={"epsilon": (0.0, 1.0)},
        starts={"gamma": (0.2, 0.5, 1.0, 2.0)},
        meanings={
            "epsilon": "error at large loss, close to that of guessing",
            "k": "scale of the improvement",
            "gamma": "rate of the improvement [1 / nat]",
        },
        units={"L": "nats per token"},
        target="Err",
        target_unit="average top-1 error, 0 to 1",
        recipe=Recipe(SquaredError(space="raw"), "the five runs of the loss law and 1.4B at M = 20"),
        family=_FAMILY,
        status="verified",
        source=GADRE,
        notes=("L is the loss on C4; the authors chain the error through the predicted loss.",),
        published={
            key: Published(
                dict(zip(("epsilon", "k", "gamma"), params, strict=True)),
                _READ,
                note=f"trained on {trained[key.split('_')[0]]}, {key.split('_')[1]} tasks",
            )
            for key, params in values.items()
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {"overtraining": overtraining, "overtraining_error": overtraining_error}
)
"""The laws of this family by name; each is built when it is first asked for."""
