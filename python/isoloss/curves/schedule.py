r"""A learning-rate schedule as an object: one value per step, and the sums over steps that curve laws read.

Steps are numbered 0 to T: the update that leads to the loss at step s uses :math:`\eta_s`, and :math:`\eta_0` is where
the schedule comes from (zero under a warm-up). With the drops :math:`d_s = \eta_{s-1} - \eta_s`,

.. math:: S_1(s) = \sum_{i=1}^{s} \eta_i, \qquad m_i = \lambda m_{i-1} + d_i, \qquad S_2(s) = \sum_{i=1}^{s} m_i,

the area under the schedule and the momentum annealing area (Tissue et al. 2024, arXiv:2408.11029), with
:math:`d_i = 0` during the warm-up. All sums take one pass over the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import DataError, OptionError
from isoloss.laws.annealing import LAMBDA
from isoloss.units import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Schedule"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Schedule:
    """A learning rate for every step; made by the functions of `isoloss.schedules`.

    Attributes
    ----------
    kind : str
        Its family: ``"wsd"``, ``"cosine"``, ... or ``"array"``.
    values : (T + 1,) ndarray of float64
        Learning rate of steps 0 to T, read-only; that of step 0 is used by no update.
    warmup : int
        Steps of warm-up: rises up to this step are no annealing.
    arguments : mapping
        What it was made with.

    Examples
    --------
    >>> import isoloss as iso
    >>> wsd = iso.schedules.wsd(steps=72_000, peak=3e-4, decay=0.2, decay_to=0.1, warmup=2_000)
    >>> print(wsd)
    wsd(steps=72000, peak=0.0003, decay=0.2, decay_to=0.1, shape='exponential', warmup=2000)
      learning rate 0.0003 at its peak, 3e-05 at the end; S1 18.67, S2 0.2643
    >>> wsd.at([0, 1_000, 57_600, 72_000]).round(6).tolist()
    [0.0, 0.00015, 0.0003, 3e-05]
    """

    kind: str
    values: F64
    warmup: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1 or len(values) < 2:
            message = f"a schedule needs a value for step 0 and for one step at least, not an array of {values.shape}"
            raise DataError(message, code="data-shape", column="lr")
        bad = np.flatnonzero(~np.isfinite(values) | (values < 0.0))
        if len(bad):
            step = int(bad[0])
            reason = "is below zero" if values[step] < 0.0 else "is not a finite number"
            code = "data-nonpositive" if values[step] < 0.0 else "data-nonfinite"
            raise DataError(
                f"learning rate at step {step}: {values[step]!r} {reason}", code=code, column="lr", row=step
            )
        if not values[1:].any():
            raise DataError("the learning rate is zero at every step", code="data-nonpositive", column="lr", row=1)
        if not 0 <= self.warmup < len(values):
            message = f"warmup={self.warmup!r} is not a number of steps from 0 to {len(values) - 1}"
            raise OptionError(message, argument="warmup")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    # What it is ------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Number of updates T."""
        return len(self.values) - 1

    @property
    def peak(self) -> float:
        """The highest learning rate."""
        return float(self.values[1:].max())

    @property
    def final(self) -> float:
        """The learning rate of the last step."""
        return float(self.values[-1])

    @property
    def drops(self) -> F64:
        """(T + 1,) what each step lowers the learning rate by; below zero where it rises, and 0 at step 0."""
        return np.concatenate([[0.0], self.values[:-1] - self.values[1:]])

    @property
    def zero_tail(self) -> int:
        """Number of updates at the end whose learning rate is exactly zero."""
        return self.steps - int(np.flatnonzero(self.values)[-1])

    def at(self, step: ArrayLike) -> F64:
        """Learning rate at steps.

        Raises
        ------
        OptionError
            Code ``option``: not a whole number from 0 to T.
        """
        return self.values[self.check(step)]

    def check(self, step: ArrayLike, least: int = 0) -> NDArray[np.int64]:
        """Steps as integers, refused outside `least` to T."""
        asked = np.asarray(step, dtype=np.float64)
        bad = ~((asked >= least) & (asked <= self.steps) & (asked == np.floor(asked)))
        if bad.any():
            worst = float(asked[bad].ravel()[0]) if asked.ndim else float(asked)
            message = f"step {worst:g} is not a whole number from {least} to {self.steps}, the last step of {self.name}"
            raise OptionError(message, argument="step")
        return asked.astype(np.int64)

    # Sums over steps -------------------------------------------------------------------------------------------

    @property
    def S1(self) -> F64:  # noqa: N802 - the papers' name
        """(T + 1,) area under the schedule up to each step, the warm-up included.

        Examples
        --------
        >>> import isoloss as iso
        >>> iso.schedules.constant(steps=4, peak=0.5, warmup=2).S1.tolist()
        [0.0, 0.25, 0.75, 1.25, 1.75]
        """
        areas = np.cumsum(self.values)
        return np.asarray(areas - areas[0])

    def S2(self, lam: float = LAMBDA) -> F64:  # noqa: N802
        """Momentum annealing area up to each step; no drop counts during the warm-up.

        Parameters
        ----------
        lam : float
            Decay of the momentum, from 0 up to, not including, 1.

        Returns
        -------
        (T + 1,) ndarray of float64

        Raises
        ------
        OptionError
            Code ``option``: `lam` outside [0, 1).

        Examples
        --------
        A single drop of d adds d (1 - lam^n) / (1 - lam) within n steps:

        >>> import isoloss as iso
        >>> iso.schedules.multi_step(steps=5, peak=1.0, at=[3], to=[0.5]).S2(0.5).tolist()
        [0.0, 0.0, 0.0, 0.5, 0.75, 0.875]
        """
        if not 0.0 <= lam < 1.0:
            raise OptionError(f"lam={lam!r} is not from 0 up to 1", argument="lam")
        drops = self.drops
        drops[: self.warmup + 1] = 0.0
        momentum = accumulate(drops.tolist(), lambda before, drop: lam * before + drop)
        return np.cumsum(np.fromiter(momentum, dtype=np.float64, count=len(drops)))

    # Display and storage ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The call that makes it, or its family and length."""
        plain = {n: v for n, v in self.arguments.items() if not (isinstance(v, (list, tuple)) and len(v) > 8)}
        if len(plain) < len(self.arguments) or not plain:
            plain = {"steps": self.steps, **plain}
            if self.warmup:
                plain["warmup"] = self.warmup
        return f"{self.kind}({', '.join(f'{n}={v!r}' for n, v in plain.items())})"

    def __len__(self) -> int:
        return self.steps

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self.warmup == other.warmup and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.steps, self.warmup, self.values[-1].item()))

    def __repr__(self) -> str:
        return f"<Schedule {self.name}>"

    def __str__(self) -> str:
        peak, final = f"{self.peak:.3g}", f"{self.final:.3g}"
        area = f"S1 {format_number(float(self.S1[-1]), 4)}, S2 {format_number(float(self.S2()[-1]), 4)}"
        return f"{self.name}\n  learning rate {peak} at its peak, {final} at the end; {area}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: the arguments where they say it all, else the values."""
        known = self.kind != "array" and bool(self.arguments)
        return {
            "kind": self.kind,
            "arguments": dict(self.arguments) if known else {},
            "values": None if known else self.values.tolist(),
            "warmup": self.warmup,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Schedule:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            Code ``file-schema``.
        """
        from isoloss.curves.shapes import KINDS

        try:
            if data["values"] is not None:
                return Schedule(kind=data["kind"], values=np.array(data["values"]), warmup=int(data["warmup"]))
            made: Schedule = KINDS[data["kind"]](**data["arguments"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"a stored schedule is not readable: {error!r}", code="file-schema") from error
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.kind, np.asarray(self.values), self.warmup, dict(self.arguments))

    def plot(self, *, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw the learning rate against the step.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.
        label : str, optional
            For the legend; the schedule's family by default.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        """
        from isoloss.curves.plots import plot_schedule

        return plot_schedule(self, ax=ax, label=label)


def _restore(kind: str, values: F64, warmup: int, arguments: dict[str, Any]) -> Schedule:
    return Schedule(kind=kind, values=values, warmup=warmup, arguments=arguments)
