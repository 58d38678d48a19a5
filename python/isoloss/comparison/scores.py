"""How well each law predicted the held-out runs: the rows of a comparison. See `isoloss.compare`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.comparison.criteria import Criteria, criteria
from isoloss.comparison.paired import paired_p
from isoloss.errors import Notice, serious, without_repeats

if TYPE_CHECKING:
    from isoloss.comparison.contest import Trial
    from isoloss.comparison.rollout import Rollout, Split
    from isoloss.engine.problem import F64
    from isoloss.fit.object import Fit
    from isoloss.runs.reading import Runs

__all__ = ["Score", "errors_of", "notices", "ranked", "table_of"]

_DECADE = (0.5, 1.5)  # distances that count as about a decade


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one law did.

    Attributes
    ----------
    law : str
    parameters : int
        Number of free ones.
    ahead : float
        Root mean square of ln(predicted / measured) at the next rung, each split counting the same; NaN where the law
        gave no prediction in some split that others did.
    rmse, bias : float
        Root mean square and mean over all held-out runs, in the same way.
    decade : float
        Root mean square at half a decade to one and a half beyond the fitted runs; NaN if nothing is held out there.
    last : float
        Root mean square at the largest rung, predicted from all others.
    coverage : float
        Share of the held-out runs inside the 95 % interval for a new run; NaN without intervals.
    aicc, bic : float
        On all runs, for objectives that are likelihoods; else NaN. Weights are read as precisions.
    no_criteria : str
        Why there are none; empty where there are, and for what is no fit.
    tied : float
        p of the paired test against the best law; 1 for the best itself.
    baseline : bool
    flag : str
        What to know before believing it.
    """

    law: str
    parameters: int
    ahead: float
    rmse: float
    bias: float
    decade: float
    last: float
    coverage: float
    aicc: float
    bic: float
    no_criteria: str
    tied: float
    baseline: bool
    flag: str


def errors_of(found: Trial, loss: F64) -> F64:
    """Ln of predicted over measured loss at the held-out runs of one split."""
    return np.log(found.prediction / loss[found.rows])


def ranked(
    runs: Runs,
    rollout: Rollout,
    splits: Sequence[Split],
    trials: Mapping[str, Sequence[Trial]],
    fits: Mapping[str, Fit],
    *,
    baselines: set[str],
    seed: int,
) -> tuple[Score, ...]:
    """The scores of all laws, the one that predicted best one rung ahead first."""
    loss, rungs = runs.columns["loss"], rollout.rungs(runs)
    # Splits in which no law proper predicted say nothing about any.
    used = [k for k in range(len(splits)) if any(trials[name][k].ok for name in trials if name not in baselines)]
    scores = [
        _score(name, runs, rungs, splits, trials[name], used, fits.get(name), name in baselines) for name in trials
    ]
    proper = sorted(scores, key=lambda s: (s.baseline, math.isnan(s.ahead), s.ahead, s.parameters))
    best = proper[0]
    if math.isnan(best.ahead):
        return tuple(sorted(proper, key=_by_error))
    units = np.arange(runs.n) if runs.group is None else runs.group
    judged = []
    for score in proper:
        if score is best or math.isnan(score.ahead):
            judged.append(replace(score, tied=1.0 if score is best else math.nan))
            continue
        pairs = [(trials[score.law][k], trials[best.law][k]) for k in used]
        first = [_next(rungs, a.rows) for a, _ in pairs]
        size = [
            errors_of(a, loss)[at] ** 2 - errors_of(b, loss)[at] ** 2 for (a, b), at in zip(pairs, first, strict=True)
        ]
        difference = np.concatenate([part / len(part) for part in size])
        rows = np.concatenate([a.rows[at] for (a, _), at in zip(pairs, first, strict=True)])
        judged.append(replace(score, tied=paired_p(difference, units[rows], seed)))
    return (judged[0], *sorted(judged[1:], key=_by_error))


def _by_error(score: Score) -> tuple[bool, float]:
    return math.isnan(score.ahead), score.ahead


def _next(rungs: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the held-out runs are of the rung that follows the fitted ones."""
    return np.asarray(rungs[rows] == rungs[rows].min())


def _score(
    name: str,
    runs: Runs,
    rungs: NDArray[np.int64],
    splits: Sequence[Split],
    trials: Sequence[Trial],
    used: Sequence[int],
    whole: Fit | None,
    baseline: bool,
) -> Score:
    loss = runs.columns["loss"]
    complete = bool(used) and all(trials[k].ok for k in used)
    errors = {k: errors_of(trials[k], loss) for k in used if trials[k].ok}
    distance = {k: splits[k].distance[trials[k].rows] for k in errors}
    far = [errors[k][(distance[k] >= _DECADE[0]) & (distance[k] <= _DECADE[1])] for k in errors]
    decade = np.concatenate(far) if far else np.zeros(0)
    ahead = [np.mean(e[_next(rungs, trials[k].rows)] ** 2) for k, e in errors.items()]
    last = errors.get(len(splits) - 1)
    made = Criteria() if whole is None else criteria(whole)
    return Score(
        law=name,
        parameters=0 if whole is None else int(whole.problem.parameters.free.sum()),
        ahead=math.sqrt(np.mean(ahead)) if complete else math.nan,
        rmse=math.sqrt(np.mean([np.mean(e**2) for e in errors.values()])) if complete else math.nan,
        bias=float(np.mean([np.mean(e) for e in errors.values()])) if complete else math.nan,
        decade=math.sqrt(np.mean(decade**2)) if len(decade) and complete else math.nan,
        last=math.nan if last is None else math.sqrt(np.mean(last**2)),
        coverage=_coverage(loss, trials, used),
        aicc=made.aicc,
        bic=made.bic,
        no_criteria=made.reason,
        tied=math.nan,
        baseline=baseline,
        flag=_flag(trials, used, whole, baseline),
    )


def _coverage(loss: F64, trials: Sequence[Trial], used: Sequence[int]) -> float:
    shares = []
    for k in used:
        ends = trials[k].interval
        if ends is None:
            return math.nan
        measured = loss[trials[k].rows]
        shares.append(float(np.mean((measured >= ends[0]) & (measured <= ends[1]))))
    return float(np.mean(shares)) if shares else math.nan


def _flag(trials: Sequence[Trial], used: Sequence[int], whole: Fit | None, baseline: bool) -> str:
    parts = ["baseline"] if baseline else []
    lacking = sum(not trials[k].ok for k in used)
    if lacking:
        reasons = [trials[k].reason for k in used if not trials[k].ok]
        parts.append(f"no prediction in {lacking} of {len(used)} splits ({reasons[0]})")
    if whole is not None:
        serious = [notice.code for notice in whole.warnings if notice.severity == "serious"]
        parts += serious
        if whole.at_bound:
            parts.append(f"at bound: {', '.join(whole.at_bound)}")
    elif not baseline:
        parts.append("not fitted to all runs")
    return "; ".join(dict.fromkeys(parts))


def notices(scores: Sequence[Score], whole: Fit | None) -> tuple[Notice, ...]:
    """What the ranking should not be read without; `whole` is the best law's fit to all runs."""
    found = []
    best = scores[0]
    ahead = [score.law for score in scores if score.baseline and score.ahead < best.ahead and not best.baseline]
    if ahead:
        message = f"{' and '.join(ahead)} predicted better than every law: no law has earned belief on these runs"
        found.append(Notice(code="baseline-wins", severity="serious", message=message, details={"baselines": ahead}))
    if best.coverage < 0.8:
        message = (
            f"the 95 % intervals of {best.law} held {100 * best.coverage:.0f} % of the held-out runs: "
            "use the ensemble's, which are calibrated on them"
        )
        found.append(
            Notice(code="undercoverage", severity="warning", message=message, details={"coverage": best.coverage})
        )
    found += _without_criteria(scores)
    return without_repeats(() if whole is None else serious(whole.warnings), found)


def _without_criteria(scores: Sequence[Score]) -> list[Notice]:
    """Why the table has no AICc for some laws."""
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.no_criteria:
            reasons.setdefault(score.no_criteria, []).append(score.law)
    if not reasons:
        return []
    message = "no AICc or BIC " + "; ".join(f"of {', '.join(laws)}: {reason}" for reason, laws in reasons.items())
    return [Notice(code="no-likelihood", severity="info", message=message, details={"laws": reasons})]


def table_of(scores: Sequence[Score]) -> list[str]:
    """The scores as lines of text."""
    rows = [("law", "free", "next rung", "all later", "bias", "1 decade", "largest", "95 % holds", "AICc", "p", "flag")]
    rows += [
        (
            score.law,
            str(score.parameters),
            _percent(score.ahead),
            _percent(score.rmse),
            _percent(score.bias, signed=True),
            _percent(score.decade),
            _percent(score.last),
            "" if math.isnan(score.coverage) else f"{100 * score.coverage:.0f} %",
            "" if math.isnan(score.aicc) else f"{score.aicc:.1f}",
            "" if math.isnan(score.tied) or score is scores[0] else f"{score.tied:.2g}",
            score.flag,
        )
        for score in scores
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(10)]
    lines = []
    for row in rows:
        cells = "".join(f"  {row[k]:>{widths[k]}}" for k in range(1, 10))
        lines.append(f"{row[0]:<{widths[0]}}{cells}  {row[10]}".rstrip())
    return lines


def _percent(value: float, *, signed: bool = False) -> str:
    if math.isnan(value):
        return ""
    return f"{100 * value:+.2f} %" if signed else f"{100 * value:.2f} %"
