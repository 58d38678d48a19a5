r"""The perceptron pruned by a probe at an angle to the teacher: its overlaps and its error.

A student J of unit length learns from examples whose field under a probe is smaller than gamma. The fields of teacher,
probe and student under an example, a, z and h, are Gaussian with the correlations cos(theta), R and rho. Of all
students with overlaps R and rho, the largest margin kappa solves

    s^2 = (2 alpha / f) E[(kappa - h)_+^2; a > 0, |z| < gamma],
    s^2 = 1 - (R^2 + rho^2 - 2 R rho cos(theta)) / sin(theta)^2,

s being the length of the part of the student outside the plane of teacher and probe. The student of largest margin has
the R and rho at which kappa is largest, which are the two further equations of Sorscher et al. (2022):

    (R - rho cos(theta)) / sin(theta)^2 = (2 alpha / f) Int (kappa - t) p(h = t, a = 0) P(|z| < gamma | t, a = 0) dt,
    (rho - R cos(theta)) / sin(theta)^2 = (2 alpha / f) Int (kappa - t) [q(t, -gamma) - q(t, gamma)] dt,
    q(t, z) = p(h = t, z) P(a > 0 | t, z),   t from -infinity to kappa.

kappa is concave in (R, rho), for the student's margin is concave in the student, so there is one such point. It is
found by Newton's method in ln(s) and the student's direction psi in the plane, counted from the teacher.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["probe_error", "upper_tail"]

F64 = NDArray[np.float64]
_erfc = np.frompyfunc(math.erfc, 1, 1)
_FAR = 9.0  # the Gaussian measure beyond is below rounding
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_TO_SERIES = np.linalg.inv(np.polynomial.legendre.legvander(_NODES, 9))
_INNER, _INNER_WEIGHTS = np.polynomial.legendre.leggauss(8)
# Panels around a place where an integrand changes, in units of the width of the change.
_AROUND = np.array([-8.0, -5.0, -3.0, -1.5, -0.5, 0.5, 1.5, 3.0, 5.0, 8.0])
_INNER_AROUND = np.array([-7.0, -3.5, -1.2, 1.2, 3.5, 7.0])
_ITERATIONS = 60
_CLOSE = 1e-9  # relative step at which the search ends


def upper_tail(x: F64) -> F64:
    """The Gaussian measure above x."""
    return np.asarray(0.5 * _erfc(x / math.sqrt(2.0)), dtype=np.float64)


def _density(x: F64 | float) -> F64:
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi)


class _Student(NamedTuple):
    """A student by the length s of its part outside the plane of teacher and probe, and its direction psi in it."""

    s: float
    psi: float
    theta: float
    gamma: float

    @property
    def in_plane(self) -> float:
        return math.sqrt(1.0 - self.s**2)

    @property
    def overlap(self) -> float:
        """Overlap with the teacher."""
        return self.in_plane * math.cos(self.psi)

    @property
    def rho(self) -> float:
        """Overlap with the probe."""
        return self.in_plane * math.cos(self.theta - self.psi)

    @property
    def off_teacher(self) -> float:
        """sqrt(1 - R^2), without cancellation."""
        return math.hypot(self.s, self.in_plane * math.sin(self.psi))

    @property
    def off_probe(self) -> float:
        """sqrt(1 - rho^2)."""
        return math.hypot(self.s, self.in_plane * math.sin(self.theta - self.psi))

    @property
    def teacher_by_probe(self) -> float:
        """cos(theta) - rho R: the teacher's field follows the probe's by this over 1 - rho^2, given the student's."""
        across = math.cos(self.psi) * math.cos(self.theta - self.psi)
        return self.s**2 * across - math.sin(self.psi) * math.sin(self.theta - self.psi)

    @property
    def teacher_by_student(self) -> float:
        """R - rho cos(theta)."""
        return self.in_plane * math.sin(self.theta) * math.sin(self.theta - self.psi)

    @property
    def probe_by_student(self) -> float:
        """Rho - R cos(theta)."""
        return self.in_plane * math.sin(self.theta) * math.sin(self.psi)

    @property
    def spread(self) -> float:
        """S sin(theta): root of the determinant of the three fields' correlations."""
        return self.s * math.sin(self.theta)

    def teacher_field(self, z: F64 | float, t: F64) -> F64:
        """Mean over standard deviation of the teacher's field, given those of probe and student."""
        mean = self.teacher_by_probe * np.asarray(z) + self.teacher_by_student * t
        return np.asarray(mean / (self.off_probe * self.spread))

    def places(self) -> list[F64]:
        """Breaks between panels of the student's field t: where any integrand changes."""
        centre, width = self.rho * self.gamma, self.off_probe
        return [_FAR * _AROUND / 8.0, self.off_teacher * _AROUND, centre + width * _AROUND, -centre + width * _AROUND]

    def kept(self, t: F64) -> F64:
        """P(a > 0, |z| < gamma | h = t)."""
        turn, width = np.full_like(t, math.inf), 0.0
        if self.teacher_by_probe:
            turn = -self.teacher_by_student / self.teacher_by_probe * t
            width = self.spread * self.off_probe / abs(self.teacher_by_probe)
        ends = np.full((*t.shape, 1), self.gamma)
        inner = [turn[..., None] + width * _INNER_AROUND, (self.rho * t)[..., None] + self.off_probe * _INNER_AROUND]
        breaks = np.sort(np.concatenate([-ends, *(np.clip(x, -self.gamma, self.gamma) for x in inner), ends], -1), -1)
        half = 0.5 * np.diff(breaks, axis=-1)
        z = (breaks[..., :-1] + half)[..., None] + half[..., None] * _INNER
        field = t[..., None, None]
        weight = _density((z - self.rho * field) / self.off_probe) / self.off_probe
        counts = (weight > 1e-18) & (half[..., None] > 0.0)
        weight[~counts] = 0.0
        weight[counts] *= upper_tail(-self.teacher_field(z, field)[counts])
        return np.asarray(((weight * _INNER_WEIGHTS).sum(-1) * half).sum(-1))


def _panels(places: list[F64], low: float, high: float) -> tuple[F64, F64, F64]:
    """Breaks, nodes and weights of Gauss-Legendre panels, (panels, nodes)."""
    breaks = np.unique(np.clip(np.concatenate([*places, [low, high]]), low, high))
    half = 0.5 * np.diff(breaks)
    return breaks, (breaks[:-1] + half)[:, None] + half[:, None] * _NODES, half[:, None] * _WEIGHTS


class _Margin(NamedTuple):
    """The largest margin of a student, and its derivatives by s and psi."""

    kappa: float
    by_s: float
    by_psi: float


def _margin(student: _Student, load: float) -> _Margin | None:
    """The margin at a load of 2 alpha / f; None where it lies beyond the Gaussian measure."""
    places = student.places()
    breaks, t, w = _panels(places, -_FAR, _FAR)
    weight = _density(t) * student.kept(t)
    m = [np.concatenate([[0.0], np.cumsum((weight * w * t**k).sum(1))]) for k in range(3)]
    excess = load * (breaks**2 * m[0] - 2.0 * breaks * m[1] + m[2]) - student.s**2
    above = int(np.searchsorted(excess > 0.0, True))
    if above in (0, breaks.size):
        return None
    kappa, per_margin = _crossing(
        float(breaks[above - 1]),
        float(breaks[above]),
        _TO_SERIES @ weight[above - 1],
        [float(x[above - 1]) for x in m],
        load,
        student.s**2,
    )
    _, t, w = _panels([*places, *_turns(student)], -_FAR, kappa)
    w = w * (kappa - t)
    R, rho, edge = student.overlap, student.rho, student.gamma
    mean = t * student.probe_by_student / student.off_teacher**2
    width = student.spread / student.off_teacher
    inside = upper_tail((-edge - mean) / width) - upper_tail((edge - mean) / width)
    at_teacher = float((w * _density(t / student.off_teacher) * inside).sum() * _density(0.0) / student.off_teacher)
    at_edge = 0.0
    for z, sign in ((-edge, 1.0), (edge, -1.0)):
        joint = _density(z) * _density((t - rho * z) / student.off_probe) / student.off_probe
        at_edge += sign * float((w * joint * upper_tail(-student.teacher_field(z, t))).sum())
    across = student.in_plane
    turned = at_teacher * across * math.sin(student.psi) - at_edge * across * math.sin(student.theta - student.psi)
    shortened = (at_teacher * R + at_edge * rho) * student.s / across**2
    return _Margin(
        kappa,
        -(2.0 * load * shortened - 2.0 * student.s) / per_margin,
        -2.0 * load * turned / per_margin,
    )


def _crossing(
    low: float, high: float, series: F64, below: list[float], load: float, wanted: float
) -> tuple[float, float]:
    """The margin within a panel at which the loss of margin is as wanted, and its derivative there."""
    kappa, slope = high, math.nan
    for _ in range(30):
        share = (kappa - low) / (high - low)
        u = -1.0 + (_NODES + 1.0) * share
        w = np.polynomial.legendre.legval(u, series) * _WEIGHTS * share * 0.5 * (high - low)
        short = kappa - (low + 0.5 * (u + 1.0) * (high - low))
        value = kappa * kappa * below[0] - 2.0 * kappa * below[1] + below[2] + float(w @ short**2)
        slope = 2.0 * load * (kappa * below[0] - below[1] + float(w @ short))
        if slope <= 0.0:
            break
        # The left side is convex in kappa: Newton from above never overshoots.
        step = (load * value - wanted) / slope
        kappa = min(max(kappa - step, low), high)
        if abs(step) < 1e-14 * (1.0 + abs(kappa)):
            break
    return kappa, slope


def _turns(student: _Student) -> list[F64]:
    """Further breaks: where a conditional probability turns from 0 to 1."""
    found = []
    for slope, off, scale in (
        (student.probe_by_student, student.off_teacher, student.off_teacher**2),
        (student.teacher_by_student, student.off_probe, student.teacher_by_probe),
    ):
        if slope:
            width = student.spread * off / abs(slope)
            found += [z * scale / slope + width * _AROUND for z in (-student.gamma, student.gamma)]
    return found


def probe_error(alpha: float, f: float, theta: float, gamma: float) -> float:
    """Generalisation error of the student.

    Parameters
    ----------
    alpha : float
        Kept examples per weight.
    f : float
        Fraction kept, below one.
    theta : float
        Angle between probe and teacher, above zero.
    gamma : float
        Largest field under the probe of an example that is kept.

    Returns
    -------
    float
        arccos(R) / pi.
    """
    load = 2.0 * alpha / f

    def at(x: F64) -> tuple[float, F64]:
        s = math.exp(x[0])
        none = -math.inf, np.zeros(2)
        if s >= 1.0 or abs(x[1]) > 0.5 * math.pi:
            return none
        found = _margin(_Student(s, float(x[1]), theta, gamma), load)
        return none if found is None else (found.kappa, np.array([found.by_s * s, found.by_psi]))

    x = np.array([math.log(0.7), 0.0])
    kappa, slope = at(x)
    for _ in range(_ITERATIONS):
        # ln(s) moves by its own size, psi by that of s.
        scale = np.array([1.0, math.exp(x[0])])
        curvature = np.empty((2, 2))
        for k in range(2):
            near = x.copy()
            near[k] -= 1e-4 * scale[k]
            curvature[:, k] = (slope - at(near)[1]) / 1e-4 * scale
        values, axes = np.linalg.eigh(0.5 * (curvature + curvature.T))
        step = axes @ ((axes.T @ (slope * scale)) / np.maximum(np.abs(values), 1e-8 * np.abs(values).max()))
        step /= max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < _CLOSE:
            break
        for share in 0.5 ** np.arange(20):
            trial = x + share * step * scale
            value, gradient = at(trial)
            if value > kappa - 1e-13 * abs(kappa):
                break
        else:
            break
        x, kappa, slope = trial, value, gradient
    best = _Student(math.exp(x[0]), float(x[1]), theta, gamma)
    return math.atan2(best.off_teacher, best.overlap) / math.pi
