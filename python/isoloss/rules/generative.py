r"""What one modality tells about another.

Henighan et al. (2020) take the mutual information between an image and its caption, the fall of the caption's loss when
the image is given, as a share of the caption's loss: the infogain, which grows with the logarithm of the size.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.laws.generative import HENIGHAN
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "henighan_infogain"]

F64 = NDArray[np.float64]


def _infogain(N: F64 | float, rate: F64 | float, Nc: F64 | float) -> F64 | float:
    return rate * np.log(N / Nc)


def henighan_infogain() -> Rule:
    """Mutual information of image and text as a share of the text's loss.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("henighan_infogain")(N="1B", rate=0.02, Nc="100M"), 4)
    0.0461
    """
    return Rule(
        name="henighan_infogain",
        family="generative",
        formula=("infogain = rate * log(N / Nc)",),
        gives="share of the text's loss that the image explains; below 1 by its meaning",
        function=_infogain,
        variables={"N": Quantity("parameters", "model size without embeddings")},
        parameters={
            "rate": Quantity("1", "gain per factor e of the size"),
            "Nc": Quantity("parameters", "size at which the gain begins"),
        },
        source=HENIGHAN,
        status="form verified",
        notes=(
            (
                "Values of rate and Nc could not be read. By the paper, text-to-image models reach 20 % at about 3e12 "
                "parameters; at 1B the mutual information is about 8 nats, so that a 32x32 image is worth 2 to 3 words."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType({"henighan_infogain": henighan_infogain})
"""The rules of this family by name."""
