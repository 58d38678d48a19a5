"""Comparisons of recipes as plain data: the joint fit with its draws, whose its parameters are, and the test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from isoloss.comparison.joint import Joint, Sharing
from isoloss.comparison.recipe_comparison import RecipeComparison
from isoloss.errors import Notice
from isoloss.law.object import Law
from isoloss.plan.flops import flops_from, flops_to_plain
from isoloss.store import fits
from isoloss.store.files import restored

__all__ = ["VERSION", "from_dict", "to_dict"]

VERSION = 1

_SHARING = ("p", "statistic", "draws", "reason")


def to_dict(made: RecipeComparison) -> dict[str, Any]:
    """A comparison as mappings, lists, arrays, texts and numbers."""
    joint, tested = made.joint, made.sharing
    return {
        "joint": {
            "law": joint.law.to_dict(),
            "column": joint.column,
            "recipes": list(joint.recipes),
            "share": list(joint.share),
        },
        "fit": fits.to_dict(made.fit),
        "base": made.base,
        "sharing": None
        if tested is None
        else {
            **{name: getattr(tested, name) for name in _SHARING},
            "free": {name: list(each.values()) for name, each in tested.free.items()},
        },
        "numbers": {
            "flops": flops_to_plain(made.flops),
            "tokens_per_parameter": made.tokens_per_parameter,
            "others": dict(made.others),
        },
        "warnings": [notice.to_dict() for notice in made.warnings],
    }


def from_dict(data: Mapping[str, Any]) -> RecipeComparison:
    """Inverse of `to_dict`, of data that went through a file."""
    stored, numbers = data["joint"], restored(data["numbers"])
    joint = Joint(
        law=Law.from_dict(stored["law"]),
        column=str(stored["column"]),
        recipes=tuple(map(str, stored["recipes"])),
        share=tuple(map(str, stored["share"])),
    )
    fit = fits.from_dict(data["fit"])
    base, ratio = str(data["base"]), numbers["tokens_per_parameter"]
    if fit.draws is None or fit.law != joint.whole or base not in joint.recipes:
        raise ValueError("the fit cannot be that of these recipes")
    if not (ratio is None or 0.0 < ratio < math.inf):
        raise ValueError("tokens per parameter are a number above zero")
    return RecipeComparison(
        fit=fit,
        joint=joint,
        base=base,
        sharing=None if data["sharing"] is None else _sharing(joint, restored(data["sharing"])),
        flops=flops_from(numbers["flops"]),
        tokens_per_parameter=None if ratio is None else float(ratio),
        others={name: float(value) for name, value in numbers["others"].items()},
        warnings=tuple(Notice.from_dict(notice) for notice in data["warnings"]),
    )


def _sharing(joint: Joint, data: Mapping[str, Any]) -> Sharing:
    free = {name: dict(zip(joint.recipes, map(float, values), strict=True)) for name, values in data["free"].items()}
    return Sharing(
        share=joint.share,
        p=float(data["p"]),
        statistic=float(data["statistic"]),
        draws=int(data["draws"]),
        free=free,
        reason=str(data["reason"]),
    )
