r"""Which law to believe: rollouts of several laws on the same runs, with baselines, ties and an ensemble.

Each law is fitted to the training part of every split of a `Rollout` and predicts the runs held out. With e the
logarithm of predicted over measured loss, the table shows its root mean square over the next rung and over all that are
held out, its mean (the signed bias), the error about a decade out, and how often the 95 % interval for a new run held
the measured one; each split counts the same. Two baselines are always there: a straight line in logarithms, and the
loss of the nearest run.

The best law is the one with the least error at the next rung (one step ahead, as forecasters do it: over all later
rungs the earliest splits, which know the least and look farthest, would decide alone). Laws whose errors there a paired
sign-flip test cannot tell from the best at 5 % are tied. Information criteria appear only for objectives that are
likelihoods (squared errors, with the Jacobian of the space so that raw and log compare; Burnham and Anderson 2002,
chapter 2). Choosing among many laws makes the best one look better than it is: the report says how many were tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import laws as registry
from isoloss.checks import whole
from isoloss.comparison.contest import NEAREST, Trial, nearest, trial
from isoloss.comparison.rollout import Rollout, Split
from isoloss.comparison.scores import Score, notices, ranked, table_of
from isoloss.comparison.stacking import Ensemble, ensemble
from isoloss.engine.posing import as_law
from isoloss.engine.problem import seed_number
from isoloss.engine.watch import Progress, Watch
from isoloss.errors import DataError, FitError, OptionError
from isoloss.fit.object import Fit, fit
from isoloss.law.object import Law
from isoloss.objective import Objective, resolve
from isoloss.plain import plain_dict
from isoloss.runs.reading import Runs, as_runs
from isoloss.runs.table import make_frame

if TYPE_CHECKING:
    from isoloss.comparison.plots import ComparisonPlots
    from isoloss.errors import Notice

__all__ = ["Comparison", "Score", "compare"]

TIED = 0.05  # p above which two laws' held-out errors are not told apart


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Comparison:
    """Laws ranked by what they predicted of runs they had not seen; made by `compare`.

    Attributes
    ----------
    scores : tuple of Score
        The best first.
    runs : Runs
    rollout : Rollout
    splits : tuple of Split
    laws : mapping of str to Law
    trials : mapping of str to tuple of Trial
        By law, in the order of `splits`.
    fits : mapping of str to Fit
        To all runs; a law that could not be fitted to them is absent.
    tried : int
        Number of laws times splits.
    warnings : tuple of Notice
    """

    scores: tuple[Score, ...]
    runs: Runs
    rollout: Rollout
    splits: tuple[Split, ...]
    laws: Mapping[str, Law]
    trials: Mapping[str, tuple[Trial, ...]]
    fits: Mapping[str, Fit]
    tried: int
    seed: int
    draws: int
    n_threads: int | None = None
    warnings: tuple[Notice, ...] = ()
    _cache: dict[str, Ensemble] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """Name of the law with the least error at the next rung, baselines apart unless nothing else predicted."""
        return self.scores[0].law

    @property
    def tied(self) -> dict[str, float]:
        """Laws that the held-out runs cannot tell from the best, with the p of the paired test."""
        return {score.law: score.tied for score in self.scores[1:] if score.tied > TIED}

    @property
    def table(self) -> Any:
        """A row for each law, as a frame of the kind the runs came in (a dict of arrays if they were one)."""
        names = [name for name in Score.__dataclass_fields__ if name != "tied"]
        columns = {name: np.array([getattr(score, name) for score in self.scores]) for name in names}
        columns["p_tied"] = np.array([score.tied for score in self.scores])
        return make_frame(columns, self.runs.frame)

    def ensemble(self) -> Ensemble:
        """All laws that predicted, weighted by stacking, with an interval calibrated on the held-out runs.

        Returns
        -------
        Ensemble

        Raises
        ------
        FitError
            Code ``ensemble-empty``: no law has predictions and draws in every split.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> mixed = iso.compare(runs, ["chinchilla", "skaling"], split=iso.Rollout(by="N"), draws=50).ensemble()
        >>> round(sum(mixed.weights.values()), 9)
        1.0
        """
        if "made" not in self._cache:
            self._cache["made"] = ensemble(self)
        return self._cache["made"]

    @property
    def plot(self) -> ComparisonPlots:
        """Figures: ``plot.error_vs_distance()``."""
        from isoloss.comparison.plots import ComparisonPlots

        return ComparisonPlots(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: the table and how it was made."""
        rows = [{name: getattr(score, name) for name in Score.__dataclass_fields__} for score in self.scores]
        return plain_dict(
            {
                "best": self.best,
                "tied": self.tied,
                "scores": rows,
                "splits": [split.label for split in self.splits],
                "rollout": {name: getattr(self.rollout, name) for name in Rollout.__dataclass_fields__},
                "tried": self.tried,
                "seed": self.seed,
                "draws": self.draws,
                "data": self.runs.source.sha256,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def __str__(self) -> str:
        return _report(self)

    def __repr__(self) -> str:
        return f"Comparison({len(self.scores)} laws, {len(self.splits)} splits; best {self.best})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def compare(
    runs: Any,
    laws: Sequence[str | Law] | Mapping[str, str | Law],
    *,
    split: Rollout | None = None,
    objective: Objective | str | None = None,
    draws: int = 200,
    starts: int = 7,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Fit several laws to the small runs and see which predicts the larger ones.

    Parameters
    ----------
    runs : Runs or anything `read` takes
    laws : sequence or mapping
        Names of the registry, texts, or laws; a mapping gives them names. The baselines come by themselves.
    split : Rollout, optional
        By default a rollout by C with at least four rungs fitted.
    objective : Objective or str, optional
        The same for all; by default each law's own recipe.
    draws : int
        Bootstrap draws of each fit, for coverage and the ensemble; 0 leaves both out.
    starts : int
        Starts of each draw besides the warm one.
    seed : int or numpy Generator
    n_threads : int, optional
        Results do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` after each law and split; True stops with KeyboardInterrupt.

    Returns
    -------
    Comparison

    Raises
    ------
    OptionError
        Code ``option``: no law, two laws of one name, or a number out of its range.
    LawError, DataError
        A law is unknown, or the runs lack one of its variables; ``data-too-few-rungs``.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> made = iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=0)
    >>> made.best, sorted(score.law for score in made.scores if score.baseline)
    ('chinchilla', ['log_linear', 'nearest run'])
    """
    draws = whole("draws", draws)
    split = Rollout() if split is None else split
    chosen = _chosen(laws)
    number = seed_number(seed)
    wanted = tuple(dict.fromkeys(name for made in chosen.values() for name in made.variables))
    table = as_runs(runs, wanted)
    table.require("loss", *wanted)
    base = _baseline(wanted, split.by, chosen)
    everything = {**chosen, **base}
    table = table.counted(table.weights)
    splits = split.splits(table)
    goal = None if objective is None else resolve(objective)
    watch = Watch(progress, n_threads=n_threads)
    tick = _ticker(watch, len(everything) * (len(splits) + 1))
    trials: dict[str, tuple[Trial, ...]] = {}
    fits: dict[str, Fit] = {}
    for name, one in everything.items():
        own = goal if name in chosen else None
        found = []
        for part in splits:
            options: dict[str, Any] = {"draws": draws, "starts": starts, "seed": number, "n_threads": n_threads}
            found.append(trial(one, table, part, objective=own, **options))
            tick()
        trials[name] = tuple(found)
        try:
            fits[name] = fit(one, table, objective=own, seed=number, n_threads=n_threads)
        except (DataError, FitError) as error:
            if error.code not in ("data-too-few-points", "fit-failed"):
                raise
        tick()
    trials[NEAREST] = tuple(nearest(table, part, wanted) for part in splits)
    scores = ranked(table, split, splits, trials, fits, baselines={*base, NEAREST}, seed=number)
    return Comparison(
        scores=scores,
        runs=table,
        rollout=split,
        splits=splits,
        laws=everything,
        trials=trials,
        fits=fits,
        tried=len(trials) * len(splits),
        seed=number,
        draws=draws,
        n_threads=n_threads,
        warnings=notices(scores, fits.get(scores[0].law)),
    )


def _chosen(laws: Sequence[str | Law] | Mapping[str, str | Law]) -> dict[str, Law]:
    """Laws by name."""
    if isinstance(laws, (str, Law)):
        laws = [laws]
    if isinstance(laws, Mapping):
        made = {name: as_law(one) for name, one in laws.items()}
    else:
        listed = [as_law(one) for one in laws]
        made = {one.name: one for one in listed}
        if len(made) < len(listed):
            names = [one.name for one in listed]
            twice = next(name for name in names if names.count(name) > 1)
            message = f"two laws are named {twice!r}; give a mapping from names to laws"
            raise OptionError(message, argument="laws")
    if not made or NEAREST in made:
        message = f"laws={laws!r}: name at least one law, and none {NEAREST!r}"
        raise OptionError(message, argument="laws")
    return made


def _baseline(variables: Sequence[str], by: str, chosen: Mapping[str, Law]) -> dict[str, Law]:
    """The straight line in logarithms of what the laws use, unless it is among them."""
    both = [name for name in ("N", "D") if name in variables]
    name = "log_linear" if len(both) == 2 else f"log_linear_{both[0] if both else 'C'}"
    if not both and "C" not in variables and by != "C":
        return {}
    return {} if name in chosen else {name: registry.get(name)}


def _ticker(watch: Watch, total: int) -> Any:
    """Counts what is done and asks whether to go on."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if watch.progress is not None and watch.progress(done, total) is True:
            raise KeyboardInterrupt

    return tick


def _report(made: Comparison) -> str:
    told = ", ".join(f"{name} (p = {p:.2g})" for name, p in made.tied.items())
    lines = [
        f"{made.runs.n} runs, {made.rollout.describe()}: {len(made.splits)} splits",
        *table_of(made.scores),
        f"best: {made.best}" + (f"; not told from it: {told}" if told else ""),
        f"errors are of ln loss; {made.tried} fits of a law to a split were compared",
    ]
    return "\n".join([*lines, *(str(notice) for notice in made.warnings)])
