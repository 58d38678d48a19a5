r"""Mixtures of experts: routed models, granularity of experts, experts together with data.

Routed models, N parameters a token passes through and e experts, log-bilinear with a saturating count of experts:

log10 L = a log10 N + b log10 Eh + c log10 N log10 Eh + d, 1 / Eh = 1 / (e - 1 + 1 / (1 / Es - 1 / Em)) + 1 / Em

so that Eh is Es at one expert and Em for very many. Beyond N = 10^(-b / c) more experts no longer help.

Fine-grained experts, G the factor by which experts are narrower than the dense layer:
L = c + (g / G^gamma + a) / N^alpha + b / D^beta.

References: Clark et al. (2022), arXiv:2202.01169, equations 1, 9 and 10; Krajewski et al. (2024), arXiv:2402.07871;
Ludziejewski et al. (2025), arXiv:2502.05172.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber, SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CLARK", "ENTRIES", "KRAJEWSKI"]

CLARK = Source("Unified Scaling Laws for Routed Language Models", "2202.01169", "Clark et al.", 2022)
KRAJEWSKI = Source("Scaling Laws for Fine-Grained Mixture of Experts", "2402.07871", "Krajewski et al.", 2024)
LUDZIEJEWSKI = Source(
    "Joint MoE Scaling Laws: Mixture of Experts Can Be Memory Efficient", "2502.05172", "Ludziejewski et al.", 2025
)

_FAMILY = "mixture_of_experts"
_SATURATED = "(1 / (1 / (experts - 1 + 1 / (1 / Es - 1 / Em)) + 1 / Em))"
_EXPERT_MEANINGS = {
    "Es": "effective number of experts of a dense model",
    "Em": "effective number of experts in the limit of many",
}
_EXPERT_UNITS = {"experts": "experts per layer, 1 is dense"}
_REFIT = (
    "refit by this project on the authors' released runs (data/curves.csv.gz, last step, routing frequency 1/2, "
    "one expert, seed 42, with the dense models)"
)


def _refit(a: float, b: float, c: float, d: float, start: float, most: float) -> Published:
    return Published(
        {"a": a, "b": b, "c": c, "d": d, "Es": start, "Em": most},
        _REFIT,
        note="not the paper's table; Em is weakly identified",
    )


def _routed() -> Law:
    """Clark et al.: size and experts."""
    return law(
        f"10**(a * log10(N) + b * log10({_SATURATED}) + c * log10(N) * log10({_SATURATED}) + d)",
        name="routed",
        vars=["N", "experts"],
        positive=["Es", "Em"],
        bounds={
            "a": (-1.0, 0.0),
            "b": (-1.0, 0.0),
            "c": (0.0, 0.2),
            "d": (-2.0, 5.0),
            "Es": (1.0, 20.0),
            "Em": (25.0, 1e5),
        },
        starts={
            "a": (-0.08,),
            "b": (-0.1, -0.2),
            "c": (0.005, 0.015),
            "d": (1.1,),
            "Es": (1.5, 4.0),
            "Em": (100.0, 400.0, 2000.0),
        },
        meanings={
            "a": "slope of log10 L in log10 N at one effective expert",
            "b": "slope of log10 L in log10 of the effective experts, at N = 1",
            "c": "how much the gain from experts shrinks per decade of size",
            "d": "log10 of the loss at N = 1 and one effective expert",
            **_EXPERT_MEANINGS,
        },
        units={"N": "parameters a token passes through, dense equivalent", **_EXPERT_UNITS},
        recipe=Recipe(
            SquaredError(space="log"),
            "mean squared error of log10 L, L-BFGS-B, 10 to 500 random multiples of one start, one routing method "
            "at a time",
        ),
        family=_FAMILY,
        status="verified",
        source=CLARK,
        notes=(
            (
                "More experts stop helping at N = 10^(-b / c), about 9e10 for Hash and RL-R and 8e11 for S-BASE in "
                "these "
                "refits. Em moves freely with little change of the fit."
            ),
            "All runs saw 130B tokens: there is no data term.",
        ),
        published={
            "clark2022_sbase_refit": _refit(
                -0.08302529459, -0.1180436724, 0.009924831199, 1.113579991, 2.074567948, 238.6748693
            ),
            "clark2022_rlr_refit": _refit(
                -0.08272953739, -0.1234167122, 0.01123256802, 1.107012648, 1.721925734, 470.0533254
            ),
            "clark2022_hash_refit": _refit(
                -0.08735669487, -0.1383638887, 0.01263522942, 1.159530676, 4.268769843, 427.3229854
            ),
        },
    )


def _fine_grained() -> Law:
    """Krajewski et al.: granularity."""
    return law(
        "c + (g / G**gamma + a) / N**alpha + b / D**beta",
        name="moe_granularity",
        vars=["N", "D", "G"],
        positive=["c", "g", "a", "b"],
        bounds={"gamma": (0.0, 2.0), "alpha": (0.0, 2.0), "beta": (0.0, 2.0)},
        starts={"gamma": (0.3, 0.6), "alpha": (0.1, 0.2, 0.4), "beta": (0.1, 0.2, 0.4)},
        meanings={
            "c": "irreducible loss [nats per token]",
            "g": "scale of what finer experts can still gain",
            "gamma": "exponent of granularity",
            "a": "scale of the size term at unlimited granularity",
            "alpha": "exponent of size",
            "b": "scale of the data term",
            "beta": "exponent of data",
        },
        units={
            "N": "parameters without embeddings, all experts",
            "G": "granularity, d_ff / d_expert, from 1",
        },
        recipe=Recipe(Huber(1e-3, space="log"), "Huber, BFGS; RMSE 0.015 on fitted and 0.019 on held-out runs"),
        family=_FAMILY,
        status="verified",
        source=KRAJEWSKI,
        notes=(
            (
                "N counts every expert: with 64 of them (8 * 64 + 4) d^2 blocks, 43 times the active 12 d^2 blocks. "
                "With that count, and not the active one, come the losses of the paper's table 2 of optimal runs."
            ),
            "The cost of routing belongs to the choice of G: see the rule moe_flops.",
            "Fitted with 64 experts; dense models beside them have 0.47 + 16.3 N^-0.126 + 26.7 D^-0.127.",
        ),
        published={
            "krajewski2024": Published(
                {"c": 0.47, "g": 2.1, "gamma": 0.58, "a": 18.1, "alpha": 0.115, "b": 30.8, "beta": 0.147},
                "arXiv:2402.07871, table 1",
                note="two or three digits, which is 0.03 nats",
            )
        },
    )


def _joint() -> Law:
    """Ludziejewski et al.: experts, size and data."""
    return law(
        f"m * {_SATURATED}**delta * N**(alpha + gamma * log({_SATURATED}))"
        f" + n * {_SATURATED}**omega * D**(beta + zeta * log({_SATURATED})) + c",
        name="moe_joint",
        vars=["N", "D", "experts"],
        positive=["m", "n", "c", "Es", "Em"],
        bounds={
            "alpha": (-2.0, 0.0),
            "beta": (-2.0, 0.0),
            "gamma": (-0.2, 0.2),
            "zeta": (-0.2, 0.2),
            "delta": (-2.0, 2.0),
            "omega": (-2.0, 2.0),
            "Es": (1.0, 20.0),
            "Em": (25.0, 1e5),
        },
        starts={
            "alpha": (-0.2, -0.4),
            "beta": (-0.2, -0.4),
            "gamma": (0.0,),
            "zeta": (0.0,),
            "delta": (0.0,),
            "omega": (0.0,),
            "Es": (1.5, 4.0),
            "Em": (100.0, 400.0),
        },
        meanings={
            "m": "scale of the size term",
            "delta": "exponent of the effective experts in the size term",
            "alpha": "exponent of size at one effective expert, below zero",
            "gamma": "change of that exponent with ln of the effective experts",
            "n": "scale of the data term",
            "omega": "exponent of the effective experts in the data term",
            "beta": "exponent of data at one effective expert, below zero",
            "zeta": "change of that exponent with ln of the effective experts",
            "c": "irreducible loss [nats per token]",
            **_EXPERT_MEANINGS,
        },
        units={"N": "active parameters with embeddings", **_EXPERT_UNITS},
        recipe=Recipe(
            Huber(1e-2, space="log"),
            "L-BFGS on logarithms from a grid; runs of high loss count less; 280 runs to 2.7B active parameters",
        ),
        family=_FAMILY,
        status="verified",
        source=LUDZIEJEWSKI,
        notes=(
            "For each number of experts it is a law of Chinchilla's form; the paper's table 4 lists them.",
            "Holds at a granularity of one, where routing costs nothing worth counting: C = 6 N D.",
            "One expert is the dense model, and its effective number of experts is Es.",
        ),
        published={
            "ludziejewski2025": Published(
                {
                    "m": 35.91,
                    "delta": -0.2285,
                    "alpha": -0.1889,
                    "gamma": 0.0098,
                    "n": 35.98,
                    "omega": 0.5529,
                    "beta": -0.1775,
                    "zeta": -0.0259,
                    "c": 1.3637,
                    "Es": 2.0732,
                    "Em": 290.4521,
                },
                "arXiv:2502.05172, appendix B, table 3",
            )
        },
    )


def _experts_lr() -> Law:
    """Ludziejewski et al.: peak learning rate against size and number of experts."""
    return law(
        "exp(k) * N**p * experts**q",
        name="moe_lr",
        vars=["N", "experts"],
        bounds={"k": (-50.0, 50.0), "p": (-3.0, 1.0), "q": (-3.0, 3.0)},
        meanings={
            "k": "ln of the learning rate at one parameter and one expert",
            "p": "exponent of size",
            "q": "exponent of the number of experts",
        },
        units={"N": "active parameters without embeddings", "experts": "experts, one of them active per token"},
        target="lr",
        target_unit="peak learning rate",
        recipe=Recipe(SquaredError(space="log"), "least squares through the best of a sweep, 1 and 8 experts"),
        family=_FAMILY,
        status="verified",
        source=LUDZIEJEWSKI,
        notes=("More experts want a lower learning rate: four experts and 32 were predicted, not fitted.",),
        published={
            "ludziejewski2025": Published(
                {"k": 8.39, "p": -0.81, "q": -0.25}, "arXiv:2502.05172, equation 8", note="two and three digits"
            )
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {"routed": _routed, "moe_granularity": _fine_grained, "moe_joint": _joint, "moe_lr": _experts_lr}
)
"""The laws of this family by name; each is built when it is first asked for."""
