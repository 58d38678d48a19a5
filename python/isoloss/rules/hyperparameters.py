r"""Learning rate and batch size by every published law, side by side."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.laws.step_law import STEP_LAW
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Rivals"]


class Rivals(NamedTuple):
    """Peak learning rates, and batch sizes in tokens, by law."""

    steplaw_lr: Any
    deepseek_lr: Any
    porian_lr: Any
    bjorck_lr: Any
    kaplan_lr: Any
    steplaw_batch: Any
    deepseek_batch: Any
    porian_batch: Any
    kaplan_batch: Any
    minicpm_batch: Any


_KEYS = {
    "steplaw_lr": "table2",
    "steplaw_batch": "table2",
    "deepseek_lr": "bi2024",
    "deepseek_batch": "bi2024",
    "porian_lr": "porian2024",
    "porian_batch": "porian2024",
    "bjorck_lr": "bjorck2025",
    "kaplan_lr": "kaplan2020",
    "kaplan_batch": "kaplan2020",
    "minicpm_batch": "hu2024",
}
_SEQUENCE = 2048.0  # tokens; Porian et al. count sequences of this length


def _rivals(N: Any, D: Any, L: Any) -> Rivals:
    from isoloss import laws

    values = {"N": N, "D": D, "C": 6.0 * np.asarray(N) * D}
    if L is not None:
        values["L"] = L

    def setting(name: str) -> Any:
        bound = laws.get(name).bind(_KEYS[name])
        if not {*bound.variables} <= {*values}:
            return np.nan
        found = bound(**{variable: values[variable] for variable in bound.variables})
        return found * _SEQUENCE if name == "porian_batch" else found

    return Rivals(*(setting(name) for name in Rivals._fields))


def rival_settings() -> Rule:
    """What each published law would choose for one run.

    Examples
    --------
    >>> import isoloss as iso
    >>> found = iso.rules.get("rival_settings")(N="1B", D="100B")
    >>> f"{found.steplaw_lr:.2e} {found.porian_lr:.2e} {found.bjorck_lr:.2e}"
    '1.63e-03 2.13e-03 3.55e-04'
    """
    return Rule(
        name="rival_settings",
        family="hyperparameters",
        formula=(
            "steplaw_lr = 1.79 * N**(-0.713) * D**0.307",
            "deepseek_lr = 0.3118 * C**(-0.1250)",
            "porian_lr = 3.7 * N**(-0.36)",
            "bjorck_lr = 1.55e-3 * (N / 1e9)**(-0.23) * (D / 1e9)**(-0.32)",
            "kaplan_lr = 3.239e-3 - 1.395e-4 * log(N)",
            "steplaw_batch = 0.58 * D**0.571",
            "deepseek_batch = 0.2920 * C**0.3271",
            "porian_batch = 2048 * 0.00037 * N**0.703",
            "kaplan_batch = 2.1e8 * L**(-1 / 0.21)",
            "minicpm_batch = 1.21e9 * L**(-6.24)",
        ),
        gives="peak learning rates, and batch sizes in tokens, by law; the last two are NaN without a loss",
        function=_rivals,
        variables={
            "N": Quantity("parameters", "size, without embeddings"),
            "D": Quantity("tokens", "training tokens"),
        },
        parameters={"L": Quantity("nats per token", "loss in the end, for the laws that ask for it", numeric=False)},
        source=STEP_LAW,
        status="second hand",
        notes=(
            (
                "The rivals' own numbers. The comparison in Step Law's paper, as a lecture digest reproduces it, "
                "misprints "
                "three: 0.3188 for DeepSeek's 0.3118, 2e18 for Kaplan's 2e8, and 2e18 for MiniCPM's 1.21e9."
            ),
            "C is taken as 6 N D, where DeepSeek counts FLOPs per token with attention and without vocabulary.",
            "They count N differently and hold for different optimisers and schedules: the spread is the message.",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"rival_settings": rival_settings})
"""The rules of this family by name."""
