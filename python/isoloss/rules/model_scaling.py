r"""Growing an architecture: how depth, width and resolution share a factor of compute.

Convolutional networks cost about d w^2 r^2 FLOPs for depth d, width w and resolution r. Dollár et al. (2021) scale the
three together, d = s^e_d, w = s^(e_w/2), r = s^(e_r/2) with e_d + e_w + e_r = 1, and advise giving most of it to the
width, since activations, which decide the speed, grow as d w r^2 only.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from isoloss.law.parts import Published, Source
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Compound", "compound_scaling"]

DOLLAR = Source("Fast and Accurate Model Scaling", "2103.06877", "Dollár, Singh, Girshick", 2021)
_CODE = "pycls, pycls/models/scaler.py at 5719de6"


class Compound(NamedTuple):
    """Factors by which the parts of a network grow."""

    depth: float
    width: float
    resolution: float
    params: float
    activations: float


def _compound(s: float, e_w: float, e_r: float | None) -> Compound:
    rest = (1.0 - e_w) / 2.0 if e_r is None else e_r
    e_d = 1.0 - e_w - rest
    return Compound(s**e_d, s ** (e_w / 2), s ** (rest / 2), s ** (e_d + e_w), s ** (e_d + e_w / 2 + rest))


def compound_scaling() -> Rule:
    """Depth, width and resolution for s times the FLOPs.

    Examples
    --------
    >>> import isoloss as iso
    >>> grown = iso.rules.get("compound_scaling")("fast", s=4)
    >>> round(grown.depth * grown.width**2 * grown.resolution**2, 12)
    4.0
    """
    return Rule(
        name="compound_scaling",
        family="model_scaling",
        formula=(
            "depth = s**e_d",
            "width = s**(e_w / 2)",
            "resolution = s**(e_r / 2)",
            "e_d + e_w + e_r = 1",
            "activations = s**(1 - e_w / 2)",
        ),
        gives="depth, width, resolution, params, activations: factors over the network one starts from",
        function=_compound,
        variables={"s": Quantity("1", "factor of FLOPs")},
        parameters={
            "e_w": Quantity("1", "share of the width", 0.8, 0.0, 1.0, positive=False),
            "e_r": Quantity(
                "1", "share of the resolution; else half of the rest", low=0.0, high=1.0, positive=False, optional=True
            ),
        },
        source=DOLLAR,
        status="verified",
        states_law=False,
        published={
            "fast": Published({"e_w": 0.8}, f"{_CODE}, d1_w8_g8_r1", note="the recommended dWr scaling"),
            "uniform": Published({"e_w": 1 / 3}, _CODE, note="depth, width and resolution alike"),
            "width_only": Published({"e_w": 1.0}, _CODE),
        },
        notes=(
            "Group width grows with the width. The code rounds widths to multiples of 8, image sizes to 4.",
            "The paper regresses run time on activations; its constants could not be read.",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"compound_scaling": compound_scaling})
"""The rules of this family by name."""
