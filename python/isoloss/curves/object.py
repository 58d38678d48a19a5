"""Loss curves: the losses of whole training runs, each with the learning-rate schedule that led to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import whole
from isoloss.curves.schedule import Schedule
from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.runs.source import Dropped
from isoloss.units import parse_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Curves", "Spacing"]

F64 = NDArray[np.float64]
Spacing = Literal["linear", "log"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Curve:
    """The losses of one training run.

    Attributes
    ----------
    run : str
        Label of the run.
    step : (n,) ndarray of int64
        Steps at which the loss was logged, rising.
    loss : (n,) ndarray of float64
        Nats per token.
    schedule : Schedule
        Learning rate of every step of the run.
    kind : str
        The schedule's name in the data, or its family.
    labels : mapping of str to str
        Further columns that are constant over the run.
    constants : mapping of str to float
        The numbers among them, and roles such as N.
    """

    run: str
    step: NDArray[np.int64]
    loss: F64
    schedule: Schedule
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        step, loss = np.array(self.step, dtype=np.int64), np.array(self.loss, dtype=np.float64)
        step.flags.writeable = loss.flags.writeable = False
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    @property
    def n(self) -> int:
        """Number of losses."""
        return len(self.step)

    @property
    def lr(self) -> F64:
        """(n,) learning rate at the logged steps."""
        return self.schedule.values[self.step]

    def take(self, rows: NDArray[Any]) -> Curve:
        """The same curve with some of its losses."""
        return replace(self, step=self.step[rows], loss=self.loss[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.to_dict(),)

    def __repr__(self) -> str:
        return f"<Curve {self.run!r}: {self.n} losses, {self.kind}, {self.schedule.steps:,} steps>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "run": self.run,
            "step": self.step.tolist(),
            "loss": self.loss.tolist(),
            "schedule": self.schedule.to_dict(),
            "kind": self.kind,
            "labels": dict(self.labels),
            "constants": dict(self.constants),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Curve:
        """Inverse of `to_dict`."""
        return Curve(**{**data, "schedule": Schedule.from_dict(data["schedule"])})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Curves:
    """Loss curves of several runs; made by `isoloss.read_curves`.

    Attributes
    ----------
    curves : tuple of Curve
    dropped : tuple of Dropped
        Rows of the source that are not in the curves, with the reasons.
    source : str
    warnings : tuple of Notice
    """

    curves: tuple[Curve, ...]
    dropped: tuple[Dropped, ...] = ()
    source: str = "arrays"
    warnings: tuple[Notice, ...] = ()

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[Curve]:
        return iter(self.curves)

    def __getitem__(self, run: str | int) -> Curve:
        if isinstance(run, int):
            return self.curves[run]
        for curve in self.curves:
            if curve.run == run:
                return curve
        message = f"no curve of a run {run!r}{did_you_mean(run, self.runs)}"
        raise DataError(message, code="data-empty", run=run)

    @property
    def runs(self) -> tuple[str, ...]:
        """Labels of the runs."""
        return tuple(curve.run for curve in self.curves)

    @property
    def n(self) -> int:
        """Number of losses of all curves."""
        return sum(curve.n for curve in self.curves)

    @property
    def sha256(self) -> str:
        """Fingerprint of steps, losses and schedules."""
        digest = hashlib.sha256()
        for curve in self.curves:
            digest.update(curve.run.encode() + b"\0" + curve.step.tobytes() + curve.loss.tobytes())
            digest.update(curve.schedule.values.tobytes())
        return digest.hexdigest()

    # Fewer of them ---------------------------------------------------------------------------------------------

    def where(self, **conditions: Any) -> Curves:
        """The curves that meet every condition.

        Parameters
        ----------
        **conditions
            ``run=``, ``schedule=`` or a label of the curves: a text or number, a list of them, or a pair
            ``(low, high)`` of numbers as a tuple for a closed range. ``schedule="wsd"`` also finds names that go on
            after an underscore, such as ``wsd_20000_24000``.

        Returns
        -------
        Curves
            With the notices that concern them; the losses of the others are counted in `dropped`.

        Raises
        ------
        DataError
            Code ``data-empty`` when none is left, ``data-missing-role`` for a label that no curve has.

        Examples
        --------
        >>> import isoloss as iso
        >>> table = {"step": [1, 2, 1, 2], "loss": [3.0, 2.9, 3.1, 3.0], "lr": [1e-3] * 4, "run": ["a", "a", "b", "b"]}
        >>> iso.read_curves(table, run="run").where(run="b").runs
        ('b',)
        """
        kept = [curve for curve in self.curves if all(self._meets(curve, *one) for one in conditions.items())]
        wanted = ", ".join(f"{name} = {value!r}" for name, value in conditions.items())
        if not kept:
            known = sorted({curve.kind for curve in self.curves})
            message = f"no curve is left where {wanted}; schedules: {', '.join(known)}"
            raise DataError(message, code="data-empty")
        if len(kept) == len(self):
            return self
        runs = {curve.run for curve in kept}
        notices = (_about(notice, runs) for notice in self.warnings)
        left_out = Dropped(self.n - sum(curve.n for curve in kept), f"not where {wanted}")
        return replace(
            self,
            curves=tuple(kept),
            dropped=(*self.dropped, left_out),
            warnings=tuple(notice for notice in notices if notice is not None),
        )

    def _meets(self, curve: Curve, name: str, wanted: Any) -> bool:
        several = isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes))
        if name in ("run", "schedule"):
            text = curve.run if name == "run" else curve.kind
            names = {str(x) for x in wanted} if several else {str(wanted)}
            prefix = name == "schedule" and any(text.startswith(f"{x}_") for x in names)
            return text in names or prefix
        if name not in curve.labels and name not in curve.constants:
            known = {key for c in self.curves for key in ("run", "schedule", *c.labels, *c.constants)}
            message = f"the curves have no {name!r}{did_you_mean(name, known)}; they have {', '.join(sorted(known))}"
            raise DataError(message, code="data-missing-role", role=name)
        if name in curve.constants:
            value = curve.constants[name]
            if isinstance(wanted, tuple) and len(wanted) == 2:
                return parse_number(wanted[0]) <= value <= parse_number(wanted[1])
            return value in {parse_number(x) for x in (wanted if several else [wanted])}
        return curve.labels[name] in ({str(x) for x in wanted} if several else {str(wanted)})

    def thin(self, *, every: int | None = None, points: int | None = None, spacing: Spacing = "linear") -> Curves:
        """Fewer losses of each curve; the last one always stays, and `dropped` says how many went.

        Parameters
        ----------
        every : int, optional
            Keep each so-manieth loss, counted back from the last.
        points : int, optional
            Keep at most so many of each curve, spread over the steps.
        spacing : {"linear", "log"}
            How `points` are spread.

        Examples
        --------
        >>> import isoloss as iso
        >>> curves = iso.read_curves(iso.simulate.curves(["cosine"], steps=1_600, every=10))
        >>> curves.n, curves.thin(points=20).n
        (151, 20)
        """
        if (every is None) == (points is None):
            raise OptionError("give one of every and points", argument="every")
        for name, number in (("every", every), ("points", points)):
            if number is not None:
                whole(name, number, 1)
        if spacing not in ("linear", "log"):
            raise OptionError(f"spacing={spacing!r} is neither 'linear' nor 'log'", argument="spacing")
        thinner = []
        for curve in self.curves:
            if every is not None:
                rows = np.arange(curve.n - 1, -1, -int(every))[::-1]
            else:
                rows = _spread(curve.step, int(points or 1), spacing)
            thinner.append(curve.take(rows))
        gone = self.n - sum(curve.n for curve in thinner)
        if not gone:
            return self
        reason = (
            f"thinned: every {every}" if every is not None else f"thinned: {points} points of each curve, {spacing}"
        )
        return replace(self, curves=tuple(thinner), dropped=(*self.dropped, Dropped(gone, reason)))

    # Display and storage ---------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Curves: {len(self)} runs, {self.n:,} losses, from {self.source}>"

    def __str__(self) -> str:
        many = "curve" if len(self) == 1 else "curves"
        lines = [f"{len(self)} {many}, {self.n:,} losses, from {self.source}"]
        rows = [("run", "schedule", "steps", "losses", "peak lr", "last lr", "first loss", "last loss")]
        for curve in self.curves:
            schedule = curve.schedule
            numbers = (f"{schedule.peak:.3g}", f"{schedule.final:.3g}")
            ends = (f"{curve.loss[0]:.4f}", f"{curve.loss[-1]:.4f}")
            rows.append((curve.run, curve.kind, f"{schedule.steps:,}", f"{curve.n:,}", *numbers, *ends))
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        for row in rows:
            cells = [
                text.ljust(w) if k < 2 else text.rjust(w) for k, (text, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells))
        if self.dropped:
            lines.append(f"  dropped: {'; '.join(str(d) for d in self.dropped)}")
        lines += [f"  {notice}" for notice in self.warnings]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return Curves.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; numbers keep all their bits."""
        return {
            "curves": [curve.to_dict() for curve in self.curves],
            "dropped": [{"count": d.count, "reason": d.reason, "rows": list(d.rows)} for d in self.dropped],
            "source": self.source,
            "warnings": [notice.to_dict() for notice in self.warnings],
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Curves:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            Code ``file-schema``.
        """
        try:
            return Curves(
                curves=tuple(Curve.from_dict(curve) for curve in data["curves"]),
                dropped=tuple(Dropped(d["count"], d["reason"], tuple(d["rows"])) for d in data["dropped"]),
                source=data["source"],
                warnings=tuple(Notice.from_dict(notice) for notice in data["warnings"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"stored curves are not readable: {error!r}", code="file-schema") from error

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the losses against the step, a colour for each run.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        """
        from isoloss.curves.plots import plot_curves

        return plot_curves(self, ax=ax)


def start_assumed(first: Mapping[str, int]) -> Notice:
    """What is said where a warm-up may be missing: the first logged step of each such run."""
    message = (
        f"the learning rate before the first logged step (up to {max(first.values()):,}) is not known in {len(first)} "
        "of the curves; the first logged one is taken. Say warmup= if there was one"
    )
    return Notice(code="curve-start-assumed", severity="warning", message=message, details={"first": dict(first)})


def _about(notice: Notice, runs: Collection[str]) -> Notice | None:
    """What a notice says of these runs: None where it is about others alone."""
    if notice.code != "curve-start-assumed":
        return notice
    first = {run: step for run, step in notice.details["first"].items() if run in runs}
    return start_assumed(first) if first else None


def _restored(data: Mapping[str, Any]) -> Curve:
    return Curve.from_dict(data)


def _spread(step: NDArray[np.int64], points: int, spacing: Spacing) -> NDArray[np.intp]:
    """At most so many rows, the nearest to steps spread evenly, the last among them."""
    if len(step) <= points:
        return np.arange(len(step))
    if points == 1:
        return np.array([len(step) - 1])
    scale: Callable[[Any], Any] = np.log if spacing == "log" else np.asarray
    places = scale(np.maximum(step, 1).astype(np.float64))
    wanted = np.linspace(places[0], places[-1], points)
    above = np.clip(np.searchsorted(places, wanted), 1, len(step) - 1)
    nearer = np.where(wanted - places[above - 1] <= places[above] - wanted, above - 1, above)
    return np.unique(nearer)


def joined(curves: Sequence[Curve]) -> tuple[NDArray[np.int64], F64]:
    """Number of its curve and the loss, of every row."""
    codes = np.repeat(np.arange(len(curves), dtype=np.int64), [curve.n for curve in curves])
    return codes, np.concatenate([curve.loss for curve in curves])
