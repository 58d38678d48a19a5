r"""Information criteria of a fit, where it has a likelihood: AICc (Hurvich and Tsai 1989) and BIC (Schwarz 1978).

Squared errors are the likelihood of normal residuals of an unknown size s. Weights are read as precisions, as
everywhere (docs/method.md): run i has the variance :math:`s^2 / w_i`. With S the weighted sum of squares over the n
runs that carry weight, the maximum over s gives

.. math:: -2 \ln L = n \ln(2 \pi S / n) + n - \sum \ln w_i - 2 \sum \ln |T'(y_i)|,

where T is the space of the residuals: densities are of the loss itself, so that laws fitted in different spaces
compare. Only ratios of weights matter, as they should. Weights that count repeats, one row for k runs, would make n
their sum; the numbers cannot tell the two readings apart, and rows of their own leave no doubt.

Everything else is refused with a reason: other objectives are no normal likelihood, and rows of a group share an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isoloss.stats.noise import noiseless

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["Criteria", "criteria"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """AICc and BIC of one fit, or why there are none."""

    aicc: float = math.nan
    bic: float = math.nan
    reason: str = ""


def criteria(fit: Fit) -> Criteria:
    """The criteria of normal errors, with one more parameter for their size.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.comparison.criteria import criteria
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> criteria(iso.fit("chinchilla", runs)).reason
    'huber_log is no normal likelihood'
    """
    problem, rows = fit.problem, fit.problem.present
    n, k = fit.n, int(problem.parameters.free.sum()) + 1
    reason = _refused(fit, n, k)
    if reason:
        return Criteria(reason=reason)
    fitted = n * (math.log(2.0 * math.pi * fit.value / n) + 1.0)
    if problem.weights is not None:
        fitted -= float(np.sum(np.log(problem.weights[rows])))
    loss = problem.target[rows]
    if problem.objective.space != "raw":
        fitted += 2.0 * float(np.sum(np.log(loss if problem.objective.space == "log" else loss * (1.0 - loss))))
    return Criteria(aicc=fitted + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1), bic=fitted + k * math.log(n))


def _refused(fit: Fit, n: int, k: int) -> str:
    if fit.objective.kind != "squared":
        return f"{fit.objective.name} is no normal likelihood"
    if fit.runs.group is not None:
        return "rows of a group are not independent"
    # Not where errors that are alike are the only evidence: so are those of a law that is off, which is compared here.
    found = [notice for notice in fit.warnings if notice.code == "checkpoints-as-runs"]
    if any(notice.details["evidence"] != "residuals" for notice in found):
        return "rows look like checkpoints of the same run"
    if not fit.success:
        return "the fit did not converge"
    if noiseless(fit.problem, fit.vector):
        return "the residuals vanish"
    return f"{n} runs are too few for {k} parameters" if n <= k + 1 else ""
