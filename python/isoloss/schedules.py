r"""Learning-rate schedules: constant, linear, cosine, WSD, inverse square root, power scheduler, multi-step, your own.

Each function gives a `Schedule` of T steps, frozen, with the value of every step and the sums over steps that laws of
loss curves read (`Schedule.S1`, `Schedule.S2`). Each takes a linear warm-up from zero at step 0 to the peak at step
`warmup`; with w such steps and the peak P, the learning rate of step s < w is P s / w. What follows is a function of
the progress u = (s - w) / (T - w) from 0 to 1, or of the step itself.

Lengths within a schedule (`decay`, `at`) are steps where they are whole numbers above one, and shares of all steps
where they are fractions; levels (`to`, `decay_to`) are shares of the peak.
"""

from isoloss.curves.schedule import Schedule
from isoloss.curves.shapes import (
    KINDS,
    constant,
    cosine,
    from_array,
    from_points,
    inverse_sqrt,
    linear,
    multi_step,
    power,
    wsd,
)
from isoloss.laws.annealing import LAMBDA

__all__ = [
    "KINDS",
    "LAMBDA",
    "Schedule",
    "constant",
    "cosine",
    "from_array",
    "from_points",
    "inverse_sqrt",
    "linear",
    "multi_step",
    "power",
    "wsd",
]


def __dir__() -> list[str]:
    """What completion offers: the public names."""
    return sorted(__all__)
