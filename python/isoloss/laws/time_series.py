r"""Foundation models of time series, in and out of distribution.

Yao et al. (2024) fit straight lines in logarithms, L(x) = (x0/x)^alpha, to the negative log-likelihood against model
size, data and compute, for encoders and decoders, on held-out data of the training distribution and on two collections
from elsewhere. Out of distribution the data count three to five times less.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "TSFM", "time_series"]

TSFM = Source("Towards Neural Scaling Laws for Time Series Foundation Models", "2410.12360", "Yao et al.", 2024)
_KEYS = (
    "encoder_id",
    "encoder_ood_lsf",
    "encoder_ood_monash",
    "decoder_id",
    "decoder_ood_lsf",
    "decoder_ood_monash",
)
_WHAT = {"id": "in distribution", "lsf": "out of distribution, LSF", "monash": "out of distribution, Monash"}
_VALUES = {
    "N": ((3.7e16, 0.029), (1.4e31, 0.026), (6.7e36, 0.023), (2.0e34, 0.015), (2.9e47, 0.016), (1.5e48, 0.017)),
    "D": ((5.3e12, 0.094), (9.6e30, 0.029), (1.0e39, 0.023), (9.9e13, 0.090), (1.1e44, 0.019), (4.4e31, 0.030)),
    "C": ((1.5e7, 0.024), (3.9e26, 0.020), (2.8e29, 0.020), (6.0e23, 0.014), (1.9e33, 0.017), (1.4e47, 0.013)),
}
_UNITS = {"N": "parameters", "D": "time points", "C": "PF-days as coded: 8.64e19 FLOPs"}
_NAMES = {"N": "size", "D": "data", "C": "compute"}


def time_series(variable: str) -> Law:
    """L = (x0/x)^alpha in one of N, D and C.

    Parameters
    ----------
    variable : {"N", "D", "C"}

    Examples
    --------
    >>> import isoloss as iso
    >>> known = iso.laws.get("time_series_D")
    >>> round(known.published["encoder_id"]["alpha"] / known.published["encoder_ood_lsf"]["alpha"], 1)
    3.2
    """
    scale, what = f"{variable}x", _NAMES[variable]
    lowest = "the lower envelope over compute" if variable == "C" else "the least validation loss of each run"
    notes = ["No floor: the loss is a likelihood and must stay above zero for the logarithms."]
    if variable == "C":
        notes.append(
            "The code counts a validation as one step where a thousand were made, so C and its scale look 1000 times "
            "too "
            "small; alpha is not touched."
        )
    return law(
        f"({scale} / {variable})**alpha",
        name=f"time_series_{variable}",
        vars=[variable],
        positive=[scale, "alpha"],
        bounds={"alpha": (0.0, 2.0)},
        starts={scale: (1e8, 1e16, 1e32), "alpha": (0.01, 0.03, 0.1)},
        meanings={scale: f"{what} at which the loss would be 1; astronomically large", "alpha": f"exponent of {what}"},
        units={variable: _UNITS[variable]},
        target="L",
        target_unit="negative log-likelihood, packed [nats]",
        recipe=Recipe(SquaredError(space="log"), f"a straight line in logarithms through {lowest}"),
        family="time_series",
        status="verified",
        source=TSFM,
        notes=tuple(notes),
        published={
            key: Published(
                {scale: value, "alpha": alpha},
                "Qingrenn/TSFM-ScalingLaws at d157a26, legends of the figures in the analysis notebooks",
                note=f"{key.split('_')[0]}, {_WHAT[key.split('_')[-1]]}",
            )
            for key, (value, alpha) in zip(_KEYS, _VALUES[variable], strict=True)
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {f"time_series_{variable}": partial(time_series, variable) for variable in _VALUES}
)
"""The laws of this family by name; each is built when it is first asked for."""
