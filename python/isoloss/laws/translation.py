r"""Neural machine translation: encoder and decoder count differently.

Ghorbani et al. (2022) fit L = alpha (Ne0/N_e)^p_e (Nd0/N_d)^p_d + L_inf to the test loss, for encoders of N_e and
decoders of N_d parameters. How to split a budget follows from the exponents alone: the rule ``nmt_split``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "NMT", "nmt"]

NMT = Source("Scaling Laws for Neural Machine Translation", "2109.07740", "Ghorbani et al.", 2021)


def nmt() -> Law:
    """L = alpha (1e8/N_e)^p_e (1e8/N_d)^p_d + L_inf.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("nmt")(Ne="400M", Nd="100M", alpha=1.0, p_e=0.5, p_d=0.25, L_inf=1.0)
    1.5
    """
    return law(
        "alpha * (Ne0 / Ne)**p_e * (Nd0 / Nd)**p_d + L_inf",
        name="nmt",
        vars=["Ne", "Nd"],
        positive=["alpha"],
        bounds={"p_e": (0.0, 2.0), "p_d": (0.0, 2.0), "L_inf": (0.0, None)},
        starts={"p_e": (0.1, 0.3, 0.6), "p_d": (0.1, 0.3, 0.6)},
        constants={"Ne0": 1e8, "Nd0": 1e8},
        meanings={
            "alpha": "reducible loss at 100M and 100M [nats per token]",
            "p_e": "exponent of the encoder",
            "p_d": "exponent of the decoder",
            "L_inf": "irreducible loss [nats per token]",
        },
        units={"Ne": "parameters of the encoder, no embeddings", "Nd": "parameters of the decoder, no embeddings"},
        recipe=Recipe(
            SquaredError(space="raw"), "sweeps of encoder and decoder fitted together, checked on symmetric scaling"
        ),
        family="translation",
        status="second hand",
        source=NMT,
        notes=(
            "The reference sizes are constants that alpha absorbs; here both are 100M.",
            (
                "Explains more than 99 % of the variance; runs differ by 0.003. Coefficients could not be read: "
                "neither "
                "code "
                "nor training data were released."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"nmt": nmt})
"""The laws of this family by name; each is built when it is first asked for."""
