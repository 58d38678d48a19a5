"""Hyper-parameter laws as plain data: the runs, the settings, the surface with its draws, and what was read off it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import Notice
from isoloss.hparams.between import Between
from isoloss.hparams.law import HParamLaw, Settings
from isoloss.hparams.powers import NAMES, Powers
from isoloss.hparams.shape import SHARED, Choice, Joint, Shape
from isoloss.hparams.surface import Surface
from isoloss.hparams.sweep import sweep_of
from isoloss.objective import Objective
from isoloss.runs.reading import Runs
from isoloss.store.files import restored

__all__ = ["VERSION", "from_dict", "to_dict"]

VERSION = 1
_FAR = 1e3

_SETTINGS = ("recipe", "threshold", "batch_on", "asymmetric", "tolerance", "diverged", "draws", "seed")
_SURFACE = ("cell", "runs", "lr", "batch", "loss", "hessian", "curvature", "curvature_error")
_BETWEEN = ("optimum", "error", "deviation", "covariance", "df")


def to_dict(hp: HParamLaw) -> dict[str, Any]:
    """A law as mappings, lists, arrays, texts and numbers."""
    settings, joint = hp.settings, hp.joint
    return {
        "runs": hp.sweep.runs.to_dict(),
        "settings": {
            **{name: getattr(settings, name) for name in _SETTINGS},
            "objective": None if settings.objective is None else settings.objective.to_dict(),
            "by": list(settings.by),
        },
        "result": {
            "powers": {"recipe": hp.powers.recipe, "values": hp.powers.values, "draws": hp.powers.draws},
            "joint": {
                "values": joint.shape.values,
                "pivot": joint.shape.pivot,
                "draws": joint.draws.values,
                "failed": joint.failed,
                "requested": joint.requested,
                "floor": joint.floor,
                "choice": _choice_to_dict(joint.choice),
                "fixed": list(joint.fixed),
                "kept": joint.kept,
                "kept_weights": joint.kept_weights,
                "rms": joint.rms,
                "at_bound": list(joint.at_bound),
            },
            "between": {name: getattr(hp.between, name) for name in _BETWEEN},
            "surfaces": [None if s is None else {name: getattr(s, name) for name in _SURFACE} for s in hp.surfaces],
            "scores": [{**_choice_to_dict(choice), "cost": cost} for choice, cost in hp.scores.items()],
            "luck": hp.luck,
            "seconds": hp.seconds,
            "warnings": [notice.to_dict() for notice in hp.warnings],
        },
    }


def from_dict(data: Mapping[str, Any]) -> HParamLaw:
    """Inverse of `to_dict`, of data that went through a file."""
    asked, found = restored(data["settings"]), restored(data["result"])
    settings = Settings(
        **{name: asked[name] for name in _SETTINGS},
        objective=None if asked["objective"] is None else Objective.from_dict(asked["objective"]),
        by=tuple(asked["by"]),
    )
    runs = Runs.from_dict(data["runs"])
    sweep = sweep_of(runs, by=settings.by, tolerance=settings.tolerance, diverged=settings.diverged)
    joint, powers = found["joint"], found["powers"]
    pivot = _floats(joint["pivot"])
    made = HParamLaw(
        powers=Powers(
            recipe=powers["recipe"], values=_floats(powers["values"]), draws=_floats(powers["draws"]).reshape(-1, 6)
        ),
        joint=Joint(
            shape=Shape(values=_floats(joint["values"]), pivot=pivot),
            draws=Shape(values=_floats(joint["draws"]).reshape(-1, len(SHARED)), pivot=pivot),
            failed=int(joint["failed"]),
            requested=int(joint["requested"]),
            floor=_floats(joint["floor"]),
            choice=_choice(joint["choice"]),
            fixed=tuple(joint["fixed"]),
            kept=np.array(joint["kept"], dtype=np.int64),
            kept_weights=_floats(joint["kept_weights"]),
            rms=float(joint["rms"]),
            at_bound=tuple(joint["at_bound"]),
        ),
        sweep=sweep,
        between=Between(
            **{name: _floats(found["between"][name]) for name in _BETWEEN if name != "df"},
            df=int(found["between"]["df"]),
        ),
        surfaces=tuple(
            None if s is None else Surface(**{**s, "hessian": _floats(s["hessian"])}) for s in found["surfaces"]
        ),
        scores={_choice(score): float(score["cost"]) for score in found["scores"]},
        luck=float(found["luck"]),
        settings=settings,
        warnings=tuple(Notice.from_dict(notice) for notice in found["warnings"]),
        seconds=float(found["seconds"]),
    )
    _check(made)
    return made


def _check(made: HParamLaw) -> None:
    """Refuse what has the right types and yet cannot have come from a sweep: methods would trip over it later."""
    powers, joint, between, settings = made.powers, made.joint, made.between, made.settings
    cells = made.sweep.cells
    shapes = {
        "powers.values": (powers.values, (len(NAMES),)),
        "joint.values": (joint.shape.values, (len(SHARED),)),
        "joint.pivot": (joint.shape.pivot, joint.shape.pivot.shape[:1]),
        "joint.floor": (joint.floor, (cells,)),
        "joint.kept": (joint.kept, joint.kept_weights.shape[:1]),
        "between.optimum": (between.optimum, (cells, 2)),
        "between.error": (between.error, (cells, 2, 2)),
        "between.deviation": (between.deviation, (cells, 2)),
        "between.covariance": (between.covariance, (2, 2)),
    }
    faults = {name: value.shape != shape for name, (value, shape) in shapes.items()}
    numbers = (powers.values, powers.draws, joint.shape.values, joint.draws.values)
    faults |= {
        # Logarithms and exponents: beyond this range there is no learning rate of any model.
        "numbers of the laws": not all(np.all(np.abs(values) < _FAR) for values in numbers),
        "between.covariance": not _may_be_scatter(between),
        "between.df": not 0 <= between.df < 2**53,
        "settings.seed": not _counts(settings.seed),
        "settings.draws": not _counts(settings.draws),
    }
    for part, fault in faults.items():
        if fault:
            raise ValueError(f"{part} cannot be that of a law of hyper-parameters")


def _counts(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _may_be_scatter(between: Between) -> bool:
    """A covariance of logarithms: symmetric, correlations within one; NaN where there are not cells enough."""
    cov = between.covariance
    if cov.shape != (2, 2):
        return False
    if not between.known:
        return True
    (v, c), (d, w) = cov
    return bool(0.0 <= v < _FAR and 0.0 <= w < _FAR and c == d and abs(c) <= np.sqrt(v) * np.sqrt(w) * (1.0 + 1e-6))


def _choice_to_dict(choice: Choice) -> dict[str, Any]:
    return {
        "threshold": choice.threshold,
        "batch_size_law": choice.batch_size_law,
        "asymmetric": choice.asymmetric,
        "objective": choice.objective.to_dict(),
    }


def _choice(data: Mapping[str, Any]) -> Choice:
    return Choice(
        threshold=float(data["threshold"]),
        batch_size_law=str(data["batch_size_law"]),
        asymmetric=bool(data["asymmetric"]),
        objective=Objective.from_dict(data["objective"]),
    )


def _floats(values: Any) -> F64:
    return np.array(values, dtype=np.float64)
