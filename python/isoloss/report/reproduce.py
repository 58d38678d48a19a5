"""Whether a fit repeats: the same law, settings and seeds once more, on its own data or on another copy of them.

Everything that a file stores of a result is compared bit for bit, the wall time apart; what differs is listed with the
old and the new value. The data, and the versions and SIMD level that made the fit, are compared besides, because a
difference there explains the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.config import made_by
from isoloss.curves.fit import CurveFit
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, OptionError
from isoloss.fit.run import run
from isoloss.plain import plain_dict
from isoloss.runs.reading import Runs, read
from isoloss.shown import Shown
from isoloss.store import to_plain

if TYPE_CHECKING:
    from isoloss.fit.object import Fit
    from isoloss.stats.draws import Draws

__all__ = ["Change", "Reproduction", "reproduce"]

_SHOWN = 40  # differing results that are printed
_TIMES = frozenset({"seconds"})
_LABELS = {"isoloss": "isoloss", "numpy": "NumPy", "simd": "SIMD level"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: what, and its old and new value. Of arrays, `new` says how much of them differs."""

    what: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.what}: {self.new}" if self.old is None else f"{self.what}: {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reproduction(Shown):
    """A fit beside a second run of it; made by `Fit.reproduce`.

    Attributes
    ----------
    data, made_by, results : tuple of Change
        What differs in the data, in the versions and the SIMD level, and in the stored results.
    compared : int
        Number of stored results.
    not_repeated : tuple of str
        What could not be run again, and why.
    fit : Fit
        The second run.
    """

    data: tuple[Change, ...]
    made_by: tuple[Change, ...]
    results: tuple[Change, ...]
    compared: int
    not_repeated: tuple[str, ...]
    fit: Fit

    @property
    def same(self) -> bool:
        """Whether the data and every stored result are the same bits. Other versions alone make no difference."""
        return not (self.data or self.results or self.not_repeated)

    def __str__(self) -> str:
        if self.same:
            lines = [f"same: all {self.compared} stored results, bit for bit, and the data"]
        elif self.results:
            lines = [f"DIFFERENT: {len(self.results)} of {self.compared} stored results"]
        else:
            lines = [f"DIFFERENT, though the {self.compared} stored results that could be compared are the same"]
        for title, changes in (("data", self.data), ("made by", self.made_by), ("results", self.results)):
            if changes:
                lines += [title, *(f"  {change}" for change in changes[:_SHOWN])]
                lines += [f"  and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
        return "\n".join([*lines, *(f"not repeated: {what}" for what in self.not_repeated)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""

        def listed(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
            return [{"what": change.what, "old": change.old, "new": change.new} for change in changes]

        return plain_dict(
            {
                "same": self.same,
                "compared": self.compared,
                "data": listed(self.data),
                "made_by": listed(self.made_by),
                "results": listed(self.results),
                "not_repeated": self.not_repeated,
            }
        )


def reproduce(fit: Fit, source: Any, *, n_threads: int | None, options: Mapping[str, Any]) -> Reproduction:
    """Fit again and compare; see `isoloss.Fit.reproduce`."""
    runs = _runs(fit, source, options)
    weights = fit.settings.weights
    if weights is not None and len(weights) != runs.n:
        message = f"the fit has weights for {len(weights):,} runs, and there are {runs.n:,}"
        raise DataError(message, code="data-shape", column="weights")
    if isinstance(fit, CurveFit):
        again: Fit = fit.rerun(n_threads=n_threads)
    else:
        again = run(fit.law, runs, fit.settings, Watch(n_threads=n_threads))
    not_repeated: tuple[str, ...] = ()
    left: tuple[str, ...] = ("result",)
    if fit.draws is not None:
        reason = _unrepeatable(fit.draws, again)
        if reason:
            not_repeated = (f"the draws: {reason}",)
        else:
            again = again.with_draws(_drawn(fit.draws, again, n_threads))
            left = ("result", "draws")
    old, new = (to_plain(one, "isoloss.fit") for one in (fit, again))
    pairs = [pair for part in left for pair in _pairs("" if part == "result" else part, old[part], new[part])]
    return Reproduction(
        data=tuple(_data_changes(fit.runs, runs)),
        made_by=tuple(_made_by_changes(fit.made_by)),
        results=tuple(change for change in pairs if change is not None),
        compared=len(pairs),
        not_repeated=not_repeated,
        fit=again,
    )


def _runs(fit: Fit, source: Any, options: Mapping[str, Any]) -> Runs:
    """The runs to fit: the stored ones, or those of the source read as the stored ones were."""
    if source is None:
        if options:
            message = f"{', '.join(options)}: say how to read a source, and none is given"
            raise OptionError(message, argument="source")
        return fit.runs
    if isinstance(fit, CurveFit):
        message = "this fit is of loss curves, and a table of runs does not repeat it: leave the source out"
        raise OptionError(message, argument="source")
    if fit.law.inner:
        message = f"law {fit.law.name!r} sums over inner tables, which a table of runs lacks: leave the source out"
        raise OptionError(message, argument="source")
    if isinstance(source, Runs):
        return source
    stored = fit.runs.source.options
    if stored is None and not options:
        message = "the fit does not say how its data were read: name the columns, as loss='val_loss'"
        raise OptionError(message, argument="source")
    try:
        runs = read(source, **{**(stored or {}), **options})
    except TypeError as error:  # a name that is no argument, in a file or by hand
        raise OptionError(f"the data cannot be read so: {error}", argument="source") from error
    return _chosen(runs, fit.runs)


def _chosen(runs: Runs, stored: Runs) -> Runs:
    """The rows that were chosen from the stored runs after they had been read, by number."""
    later = [dropped for dropped in stored.dropped if dropped.later]
    left = stored.n + sum(dropped.count for dropped in later)
    if later and runs.n != left:
        message = (
            f"the fit chose among {left:,} runs by their rows ({later[0].reason}), and there are {runs.n:,}: "
            "give Runs that are chosen already"
        )
        raise DataError(message, code="data-shape", rows=runs.n)
    for dropped in later:
        keep = np.ones(runs.n, dtype=np.bool_)
        keep[list(dropped.rows)] = False
        runs = runs.where(keep)
    return runs


def _unrepeatable(draws: Draws, again: Fit) -> str:
    """Why draws cannot be drawn again; empty where they can."""
    if draws.method == "seed-noise" and np.isinf(draws.basis.df):
        return "the noise that was given for method 'seed-noise' is not stored"
    if draws.by == "group" and again.runs.group is None:
        return "they are of whole groups, and these runs have none"
    if not np.isfinite(again.value):
        return f"the second fit failed: {again.status.message}"
    return ""


def _drawn(draws: Draws, again: Fit, n_threads: int | None) -> Draws:
    """The same draws of the second fit."""
    chosen_by_itself = any(notice.code == "curves-few" for notice in draws.warnings)
    return again.bootstrap(
        draws.requested,
        method=draws.method,
        by=None if chosen_by_itself else draws.by,
        seed=draws.seed,
        starts=len(draws.won_by_start) - 1,
        studentize=draws.basis.covs is not None,
        n_threads=n_threads,
    )


def _data_changes(old: Runs, new: Runs) -> Iterator[Change]:
    if old.n != new.n:
        yield Change("rows", old.n, new.n)
    if old.source.sha256 != new.source.sha256:
        yield Change("SHA-256", old.source.sha256, new.source.sha256)
    for name in dict.fromkeys((*old.names, *new.names)):
        if name not in new:
            yield Change(f"column {name}", "there", "absent")
        elif name not in old:
            yield Change(f"column {name}", "absent", "there")
        elif old.labels.get(name) != new.labels.get(name):
            yield Change(f"column {name}", *(", ".join(runs.labels.get(name, ("numbers",))) for runs in (old, new)))
        elif old.n == new.n and (moved := _moved(old[name], new[name])).any():
            row = int(np.argmax(moved))
            told = f"{moved.sum():,} of {old.n:,} values differ, the first in row {row}: "
            yield Change(f"column {name}", None, f"{told}{float(old[name][row])!r} -> {float(new[name][row])!r}")
    if (old.group is None) != (new.group is None):
        yield Change("groups", *("none" if runs.group is None else "there" for runs in (old, new)))
    elif old.group is not None and new.group is not None and not np.array_equal(old.group, new.group):
        yield Change("groups", f"{len(old.group_labels)} groups", f"{len(new.group_labels)} groups, of other rows")


def _moved(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the bits differ."""
    return np.asarray(old.view(np.int64) != new.view(np.int64))


def _made_by_changes(old: Mapping[str, str]) -> Iterator[Change]:
    for name, version in made_by().items():
        before = old.get(name, "not stored")
        if before != version:
            yield Change(_LABELS[name], before, version)


def _pairs(path: str, old: Any, new: Any) -> Iterator[Change | None]:
    """Each stored result: a change where old and new differ, None where they are the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            if name not in _TIMES:
                yield from _pairs(f"{path}.{name}" if path else name, old.get(name), new.get(name))
    elif (before := _numbers(old)) is not None and (after := _numbers(new)) is not None:
        yield _array_change(path, before, after)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield Change(path, f"{len(old)} entries", f"{len(new)} entries")
        else:
            for k, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from _pairs(f"{path}[{k}]", one, other)
    else:
        # By their texts: those of floats tell all bits, and -0.0 from 0.0.
        yield None if repr(old) == repr(new) else Change(path, old, new)


_SPECIAL = frozenset({"nan", "inf", "-inf"})
"""How files write the numbers that JSON lacks."""


def _numbers(value: Any) -> NDArray[np.float64] | None:
    """A list of numbers, or of equally long lists of them, as an array; None for anything else."""
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, (int, float)) or (isinstance(item, str) and item in _SPECIAL) for item in value):
        return np.array(value, dtype=np.float64)
    rows = [_numbers(item) for item in value]
    known = [row for row in rows if row is not None]
    alike = len(known) == len(rows) and len({row.shape for row in known}) == 1
    return np.array(known) if alike else None


def _array_change(path: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> Change | None:
    if before.shape != after.shape:
        return Change(path, _shape(before), _shape(after))
    moved = _moved(before, after)
    if not moved.any():
        return None
    with np.errstate(all="ignore"):
        apart = np.abs(after - before) / np.maximum(np.abs(before), np.abs(after))
    most = float(np.nanmax(np.where(moved, apart, 0.0), initial=0.0))
    return Change(path, None, f"{moved.sum():,} of {_shape(before)} differ, the most by {most:.2g} of the value")


def _shape(values: NDArray[np.float64]) -> str:
    return f"{' x '.join(map(str, values.shape))} numbers"
