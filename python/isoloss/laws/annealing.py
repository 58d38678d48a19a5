r"""Laws of whole loss curves: the loss at every step, given the learning rate of every step before it.

Tissue et al. (2024) take two areas of the schedule: S1, under the learning rate, and S2, of its momentum-smoothed fall,

.. math:: L(s) = L_0 + A\,S_1^{-\alpha} - C\,S_2.

The areas are columns that `isoloss.fit` computes from the schedules of `isoloss.read_curves` (`Schedule.S1`,
`Schedule.S2`). The decay lambda of S2 is part of the column: ``S2`` has 0.999, ``S2_998`` has 0.998; what is identified
is C / (1 - lambda). Coefficients carry the unit of the learning rate and hold for one peak, batch size and optimiser.

Luo et al. (2025) sum over every drop of the learning rate, each with a gain that grows with the area behind it,

.. math:: L(t) = L_0 + A\,S_1^{-\alpha} - B \sum_{k \le t} (\eta_{k-1} - \eta_k)\,
    \bigl(1 - (1 + C\,\eta_k^{-\gamma} S_k(t))^{-\beta}\bigr), \qquad S_k(t) = \sum_{i=k}^{t} \eta_i.

The sum is an inner table ``k`` of the law with the columns ``drop``, ``lr`` and ``S``, the area before the drop, so
that the area behind it is ``S1 - k.S``. `isoloss.curves.step_sums` makes a few dozen points of the tens of thousands
of steps.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.errors import OptionError
from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "LAMBDA", "annealing", "annealing_size"]

LAMBDA = 0.999
"""The decay of the momentum annealing area that Tissue et al. find near the best."""
_FAMILY = "annealing"
_EXPONENT = (0.0, 2.0)
TISSUE = Source("Scaling Law with Learning Rate Annealing", "2408.11029", "Tissue et al.", 2024)
LUO = Source(
    "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules", "2503.12811", "Luo et al.", 2025
)
_RECIPE = Recipe(
    Huber(1e-3, space="log"), "lambda by a grid such as 0.99, 0.995, 0.998, 0.999; one or two whole curves"
)
_UNITS = {"S1": "learning rate times steps", "S2": "learning rate times steps", "N": "parameters"}
_REFIT = "refit of the curves released with the Multi-Power Law (arXiv:2503.12811), cosine_24000 and constant_24000"


def _area(lam: float) -> str:
    """The variable that has a lambda."""
    if not 0.0 <= lam < 1.0:
        raise OptionError(f"lam={lam!r} is not from 0 up to 1", argument="lam")
    digits = f"{lam:.12f}".rstrip("0").split(".")[1]
    return "S2" if lam == LAMBDA else f"S2_{digits or '0'}"


def annealing(lam: float = LAMBDA) -> Law:
    """L = L0 + A/S1^alpha - C S2: the momentum annealing law.

    Parameters
    ----------
    lam : float
        Decay of the momentum in S2.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("annealing").expr
    'L0 + A * S1**-alpha - C * S2'
    >>> iso.laws.annealing.annealing(lam=0.998).variables
    ('S1', 'S2_998')
    """
    area = _area(lam)
    own = lam == LAMBDA
    return law(
        f"L0 + A * S1**-alpha - C * {area}",
        name="annealing" if own else f"annealing_{area.removeprefix('S2_')}",
        vars=["S1", area],
        positive=["L0", "A", "C"],
        bounds={"alpha": _EXPONENT},
        starts={"alpha": (0.2, 0.4, 0.6, 1.0)},
        meanings={
            "L0": "loss at unlimited training [nats per token]",
            "A": "loss above L0 at S1 = 1 [nats per token]",
            "alpha": "exponent of the area under the schedule",
            "C": "loss that a unit of annealing area takes away [nats per token]",
        },
        units={"S1": _UNITS["S1"], area: f"{_UNITS['S2']}, lambda {lam:g}"},
        recipe=_RECIPE,
        family=_FAMILY,
        status="form verified",
        source=TISSUE,
        notes=(
            "S1 includes the warm-up; no drop counts in S2 during it.",
            "Steps of learning rate zero lower the predicted loss, as S2 keeps growing: such schedules are refused.",
            "A higher peak always lowers the predicted loss: do not compare peaks with it.",
        ),
        published=_refits() if own else {},
    )


def _refits() -> dict[str, Published]:
    values = {
        "25m": {"L0": 3.163975, "A": 0.5094078, "alpha": 0.5237355, "C": 0.4062046},
        "100m": {"L0": 2.789744, "A": 0.5915820, "alpha": 0.4558016, "C": 0.4801531},
    }
    return {
        f"refit_{size}": Published(
            params,
            _REFIT,
            note=f"{size.upper()} model, peak 3e-4, lambda 0.999; the paper's own coefficients are not public",
        )
        for size, params in values.items()
    }


def annealing_size(lam: float = LAMBDA) -> Law:
    """L = L0 + A/S1^alpha + B/N^beta - C S2 N^r: the annealing law over model sizes.

    Parameters
    ----------
    lam : float
        Decay of the momentum in S2.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("tissue+N").variables
    ('S1', 'N', 'S2')
    """
    area = _area(lam)
    return law(
        f"L0 + A * S1**-alpha + B * N**-beta - C * {area} * N**r",
        name="tissue+N" if lam == LAMBDA else f"tissue+N_{area.removeprefix('S2_')}",
        vars=["S1", "N", area],
        positive=["L0", "A", "B", "C"],
        bounds={"alpha": _EXPONENT, "beta": _EXPONENT, "r": (-1.0, 1.0)},
        starts={"alpha": (0.2, 0.5, 1.0), "beta": (0.1, 0.3, 0.7), "r": (-0.2, 0.0, 0.2)},
        meanings={
            "L0": "loss at unlimited size and training [nats per token]",
            "A": "loss above that at S1 = 1 [nats per token]",
            "alpha": "exponent of the area under the schedule",
            "B": "scale of the size term [nats per token]",
            "beta": "exponent of size",
            "C": "loss that a unit of annealing area takes away at N = 1 [nats per token]",
            "r": "exponent of size in the annealing term",
        },
        units={"S1": _UNITS["S1"], "N": _UNITS["N"], area: f"{_UNITS['S2']}, lambda {lam:g}"},
        recipe=_RECIPE,
        family=_FAMILY,
        status="form only",
        source=TISSUE,
        notes=(
            "After the OLMo ladders' code, e^a/N^alpha + e^b/D^beta + E - F h N^r, with S1 in the place of D.",
            "As for `annealing`: one peak, no steps of learning rate zero.",
        ),
    )


def multi_power() -> Law:
    """The Multi-Power Law: a power law of the area under the schedule and a gain for every drop in it.

    Examples
    --------
    >>> import isoloss as iso
    >>> law = iso.laws.get("multi_power")
    >>> law.inner["k"]
    ('drop', 'lr', 'S')
    >>> sorted(law.published)
    ['luo2025_100m', 'luo2025_25m', 'luo2025_400m']
    """
    return law(
        "L0 + A * S1**-alpha - B * sum_over(k, k.drop * (1 - (1 + C * k.lr**-gamma * (S1 - k.S))**-beta))",
        name="multi_power",
        vars=["S1"],
        positive=["L0", "A", "B", "C", "beta", "gamma"],
        # As beta vanishes B grows without end and the gain becomes a logarithm: what no curve tells apart is kept out.
        bounds={"alpha": _EXPONENT, "beta": (0.02, 4.0), "gamma": (0.02, 4.0)},
        # L0, A and B enter linearly and are projected out.
        starts={"alpha": (0.5,), "C": (2.0,), "beta": (0.4, 0.8), "gamma": (0.4, 0.8)},
        meanings={
            "L0": "loss at unlimited training [nats per token]",
            "A": "loss above L0 at S1 = 1 without a drop [nats per token]",
            "alpha": "exponent of the area under the schedule",
            "B": "loss that a fall of the rate by one takes away in the end [nats per token]",
            "C": "how fast a drop takes effect",
            "gamma": "exponent of the learning rate in that",
            "beta": "exponent of the area behind a drop",
        },
        units={"S1": _UNITS["S1"]},
        recipe=Recipe(
            Huber(1e-3, space="log"), "a cosine, a constant and a two-stage curve; Adam from an annealing fit"
        ),
        family=_FAMILY,
        status="verified",
        source=LUO,
        notes=(
            "Every change of the learning rate counts, also the rise of the warm-up, as in the authors' code.",
            "The published sets are not minima of the objective: lower ones exist and generalise slightly worse.",
        ),
        published={
            f"luo2025_{size}": Published(
                dict(zip(("L0", "A", "alpha", "B", "C", "beta", "gamma"), values, strict=True)),
                "configuration in the authors' repository (thu-yao-01-luo/MultiPowerLaw)",
                note=f"{size.upper()} model, peak 3e-4; the paper's own table differs",
            )
            for size, values in _LUO.items()
        },
    )


_LUO = {
    "25m": (3.04045, 0.524686, 0.507869, 363.788, 2.06561, 0.582790, 0.641423),
    "100m": (2.65145, 0.601152, 0.452958, 437.946, 2.13246, 0.597852, 0.655236),
    "400m": (2.37474, 0.654212, 0.428788, 523.425, 2.02463, 0.593505, 0.634725),
}

ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {"annealing": annealing, "tissue+N": annealing_size, "multi_power": multi_power}
)
"""The laws of this family by name; each is built when it is first asked for."""
