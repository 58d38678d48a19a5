"""Intervals of a fit's parameters that need no draws: Wald intervals, and the choice between those and profiles.

A Wald interval is the estimate plus and minus a quantile of Student's distribution times its standard error, for
positive parameters in their logarithms, where they are nearer to normal. The covariance is the sandwich with the
correction HC3 (for groups CR3), whose degrees of freedom are the units less one (MacKinnon, Nielsen and Webb 2023).
Where curvature gives no honest covariance, as under absolute errors or a Huber loss within whose delta almost no
residual lies, there is none, and the reason is in the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isoloss.checks import level_between
from isoloss.errors import FitError, OptionError, did_you_mean
from isoloss.stats.inference import covariance
from isoloss.stats.intervals import t_quantile
from isoloss.stats.profiles import profile, why_no_likelihood

if TYPE_CHECKING:
    from isoloss.fit.data import FitData

__all__ = ["METHODS", "conf_int"]

METHODS = ("auto", "draws", "profile", "wald")


def conf_int(fit: FitData, level: float, method: str, *, n_threads: int | None) -> dict[str, tuple[float, float]]:
    """Intervals of the parameters; see `isoloss.Fit.conf_int`."""
    level_between(level)
    if method not in METHODS:
        message = f"method={method!r} is not a way to an interval{did_you_mean(str(method), METHODS)}"
        raise OptionError(f"{message}; known: {', '.join(METHODS)}", argument="method")
    if method == "auto":
        method = "draws" if fit.draws is not None else ("profile" if why_no_likelihood(fit) is None else "wald")
    if method == "draws":
        if fit.draws is None:
            raise OptionError("no draws are attached: fit.with_draws(fit.bootstrap())", argument="method")
        return fit.draws.conf_int(level)
    own = fit.problem.parameters
    if method == "wald":
        return _wald(fit, level)
    reason = why_no_likelihood(fit)
    if reason is not None:
        raise FitError(f"no profile intervals: {reason}", code="covariance-unavailable")
    found: dict[str, tuple[float, float]] = {}
    for j, name in enumerate(fit.names):
        root = int(own.tied[j])
        value = fit.params[name]
        if own.fixed[root]:
            found[name] = (value, value)
        elif root == j:
            made = profile(fit, name, None, level=level, n_threads=n_threads)
            found[name] = made.interval if made.interval is not None else made.support
    return {name: found.get(name, found[fit.names[int(own.tied[j])]]) for j, name in enumerate(fit.names)}


def _wald(fit: FitData, level: float) -> dict[str, tuple[float, float]]:
    at_bound = np.array([fit.at_bound.get(name, 0) for name in fit.names], dtype=np.int8)
    made = covariance(fit.problem, fit.vector, at_bound, fit.runs.group, kind="HC3")
    if made.cov is None:
        raise FitError(f"no Wald intervals: {made.reason}", code="covariance-unavailable", reason=made.reason)
    units = fit.n if fit.runs.group is None else len(np.unique(fit.runs.group))
    t = t_quantile(0.5 + 0.5 * level, units - 1.0)
    positive, estimate = fit.problem.parameters.positive, fit.vector
    with np.errstate(over="ignore", invalid="ignore"):  # an error beyond a double; a variance lost to rounding
        error = np.sqrt(np.diag(made.cov))
        factor = np.exp(np.where(positive, t * error / np.where(positive, estimate, 1.0), 0.0))
        low = np.where(positive, estimate / factor, estimate - t * error)
        high = np.where(positive, estimate * factor, estimate + t * error)
    return {name: (float(a), float(b)) for name, a, b in zip(fit.names, low, high, strict=True)}
