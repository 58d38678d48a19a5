"""Learning rate, batch size and their plateau from measured sweeps: `isoloss.fit_hparams` and what it gives.

What is here: `sweep` sorts runs into cells of one N and D; `joint` fits one convex surface to all cells, whose optimum
moves by power laws (`shape`, `settle` and `choosing` are its parts); `between` tells how single cells scatter around
them; `surface` reads off what a setting costs in a measured cell; `powers` has the plain recipes, that of the Step Law
among them; `plateau`, `predictions`, `critical` and `sensitivity` answer questions, `holdout` and `alternatives` judge
the answers, and `check` looks runs over beforehand. `fit` is where it begins, `law` what one gets.
"""

from isoloss.hparams.alternatives import Alternatives, Comparison
from isoloss.hparams.between import Between
from isoloss.hparams.check import RunsCheck
from isoloss.hparams.critical import CriticalBatch
from isoloss.hparams.fit import fit_hparams
from isoloss.hparams.holdout import Holdout
from isoloss.hparams.law import HParamLaw
from isoloss.hparams.plateau import Box, HParamPlateau
from isoloss.hparams.powers import Powers
from isoloss.hparams.predictions import HParams, Regret
from isoloss.hparams.published import predict_published, published
from isoloss.hparams.sensitivity import Sensitivity
from isoloss.hparams.shape import Choice, Joint, Shape
from isoloss.hparams.surface import Convexity, Cost, Surface

__all__ = [
    "Alternatives",
    "Between",
    "Box",
    "Choice",
    "Comparison",
    "Convexity",
    "Cost",
    "CriticalBatch",
    "HParamLaw",
    "HParamPlateau",
    "HParams",
    "Holdout",
    "Joint",
    "Powers",
    "Regret",
    "RunsCheck",
    "Sensitivity",
    "Shape",
    "Surface",
    "fit_hparams",
    "predict_published",
    "published",
]
