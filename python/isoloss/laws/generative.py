r"""Generative models of images, video, mathematics and text: a power law plus the entropy of the data.

Henighan et al. (2020) read L(x) = L_inf + (x0/x)^alpha as entropy of the data plus the divergence of the model from
it, for x the model size or the compute, and find the best size for compute to be (C/C0)^beta with nearly the same beta
in every domain. Compute is in PF-days, 8.64e19 FLOPs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "HENIGHAN", "henighan_compute", "henighan_image", "henighan_optimal_size", "henighan_size"]

_FAMILY = "generative"
HENIGHAN = Source("Scaling Laws for Autoregressive Generative Modeling", "2010.14701", "Henighan et al.", 2020)
_TABLE1 = "arXiv:2010.14701, table 1"
_COMPUTE = "PF-days: 8.64e19 FLOPs, C = 6 N times the tokens processed"
_RECIPE = Recipe(
    SquaredError(space="log"), "power law plus constant; L(C) below all learning curves; no objective stated"
)


def _sets(table: Mapping[str, tuple[float, float, float]], x0: str, where: str) -> dict[str, Published]:
    return {
        key: Published(dict(zip(("L_inf", x0, "alpha"), row, strict=True)), where, note="two or three digits")
        for key, row in table.items()
    }


def henighan_size() -> Law:
    """L(N) = L_inf + (N0/N)^alpha at unlimited data.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("henighan_size").bind("image_32x32")(N="100M"), 4)
    2.3563
    """
    table = {
        "language": (0.0, 1.47e14, 0.070),
        "image_8x8": (3.12, 8.0e1, 0.24),
        "image_16x16": (2.64, 2.8e2, 0.22),
        "image_32x32": (2.20, 6.3e1, 0.13),
        "image_vq_16x16": (3.99, 2.7e4, 0.13),
        "image_vq_32x32": (3.07, 1.9e4, 0.14),
        "text_to_image_text": (0.0, 5.6e8, 0.037),
        "text_to_image_image": (2.0, 5.1e3, 0.16),
        "image_to_text_text": (0.0, 7.0e8, 0.039),
        "image_to_text_image": (2.0, 5.5e3, 0.15),
        "video_vq_16x16x16": (1.01, 3.7e4, 0.24),
        "math": (0.28, 1.1e4, 0.16),
    }
    return law(
        "L_inf + (Nx / N)**alpha",
        name="henighan_size",
        positive=["Nx", "alpha"],
        bounds={"L_inf": (0.0, None), "alpha": (0.0, 2.0)},
        starts={"L_inf": (0.0, 1.0, 2.0, 4.0), "Nx": (1e2, 1e5, 1e9, 1e14), "alpha": (0.05, 0.15, 0.3)},
        meanings={
            "L_inf": "irreducible loss, read as the entropy of the data [nats per token]",
            "Nx": "size at which the reducible loss is 1 [parameters]",
            "alpha": "exponent of size",
        },
        units={"N": "parameters without embeddings"},
        recipe=_RECIPE,
        family=_FAMILY,
        status="verified",
        source=HENIGHAN,
        notes=("The reducible loss is the divergence of the model from the data.",),
        published=_sets(table, "Nx", _TABLE1),
    )


def henighan_compute() -> Law:
    """L(C) = L_inf + (C0/C)^alpha at the best size for each C.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("henighan_compute").bind("image_32x32")(C=1.0), 4)
    2.3531
    """
    table = {
        "language": (0.0, 3.47e8, 0.048),
        "image_8x8": (3.13, 1.8e-8, 0.19),
        "image_16x16": (2.64, 1.6e-8, 0.16),
        "image_32x32": (2.21, 3.6e-9, 0.10),
        "image_vq_16x16": (4.09, 6.1e-7, 0.11),
        "image_vq_32x32": (3.17, 2.6e-6, 0.12),
        "text_to_image_image": (1.93, 1.5e-6, 0.15),
        "image_to_text_image": (1.97, 1.5e-6, 0.16),
        "video_vq_16x16x16": (0.95, 2.2e-5, 0.14),
        "math": (0.14, 1.4e-5, 0.17),
    }
    return law(
        "L_inf + (Cx / C)**alpha",
        name="henighan_compute",
        positive=["Cx", "alpha"],
        bounds={"L_inf": (0.0, None), "alpha": (0.0, 2.0)},
        starts={"L_inf": (0.0, 1.0, 2.0, 4.0), "Cx": (1e-8, 1e-3, 1e8), "alpha": (0.05, 0.15, 0.3)},
        meanings={
            "L_inf": "irreducible loss, read as the entropy of the data [nats per token]",
            "Cx": "compute at which the reducible loss is 1 [PF-days]",
            "alpha": "exponent of compute",
        },
        units={"C": _COMPUTE},
        recipe=_RECIPE,
        family=_FAMILY,
        status="verified",
        source=HENIGHAN,
        notes=("Give C in PF-days here, and no N and D with it: 6 N D would be FLOPs.",),
        published=_sets(table, "Cx", _TABLE1),
    )


def henighan_image() -> Law:
    """Loss per image, L = L_inf + (C1/C)^alpha.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("henighan_image").bind("image_32x32")(C=2.7e26), 1)  # a nat per image above the entropy
    6807.0
    """
    table = {
        "image_8x8": (602.0, 1.9e4, 0.19),
        "image_16x16": (2026.0, 1.7e10, 0.16),
        "image_32x32": (6806.0, 2.7e26, 0.10),
        "image_vq_16x16": (1047.0, 4.7e15, 0.11),
        "image_vq_32x32": (3246.0, 3.1e19, 0.12),
    }
    sets = _sets(table, "C1", "arXiv:2010.14701, table 3")
    note = "C1 stands as 1.9e3 in the copy that was read, against 1.87e4 from table 1: taken as a misprint"
    sets["image_8x8"] = Published(sets["image_8x8"].params, sets["image_8x8"].source, note=note)
    return law(
        "L_inf + (C1 / C)**alpha",
        name="henighan_image",
        positive=["C1", "alpha"],
        bounds={"L_inf": (0.0, None), "alpha": (0.0, 2.0)},
        starts={"C1": (1e4, 1e12, 1e24), "alpha": (0.05, 0.15, 0.3)},
        meanings={
            "L_inf": "entropy of an image [nats]",
            "C1": "compute at which the model is one nat per image above the entropy [PF-days]",
            "alpha": "exponent of compute",
        },
        units={"C": _COMPUTE},
        target="L",
        target_unit="nats per image",
        recipe=_RECIPE,
        family=_FAMILY,
        status="verified",
        source=HENIGHAN,
        notes=("The law of compute per token times the tokens of an image: C1 = Cx tokens^(1/alpha).",),
        published=sets,
    )


def henighan_optimal_size() -> Law:
    """The best size for compute, N = (C/C0)^beta.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.laws.get('henighan_optimal_size').bind('image_16x16')(C=1.0):.3g}"
    '3.08e+08'
    """
    table = {
        "language": (3.3e-13, 0.73),
        "image_8x8": (5.3e-14, 0.64),
        "image_16x16": (4.8e-12, 0.75),
        "image_32x32": (1.6e-13, 0.65),
        "image_vq_16x16": (6.2e-14, 0.64),
        "image_vq_32x32": (9.4e-13, 0.70),
        "text_to_image": (9.4e-13, 0.70),
        "image_to_text": (3.3e-12, 0.72),
        "video_vq_16x16x16": (1.13e-12, 0.71),
        "math": (2.3e-12, 0.69),
    }
    notes = {"text_to_image": "same as the row image_vq_32x32: possibly a slip of the copy that was read"}
    return law(
        "(C / Cn)**beta",
        name="henighan_optimal_size",
        positive=["Cn"],
        bounds={"beta": (0.0, 2.0)},
        starts={"Cn": (1e-14, 1e-12, 1e-10), "beta": (0.5, 0.7, 0.9)},
        meanings={"Cn": "compute at which one parameter is best [PF-days]", "beta": "exponent of compute"},
        units={"C": _COMPUTE},
        target="N",
        target_unit="parameters without embeddings",
        recipe=Recipe(SquaredError(space="log"), "points of the convex hull of loss against compute"),
        family=_FAMILY,
        status="verified",
        source=HENIGHAN,
        notes=("Tokens at the optimum are C / (6 N), about N^0.4.",),
        published={
            key: Published(
                {"Cn": scale, "beta": beta}, f"{_TABLE1}, last columns", note=notes.get(key, "two or three digits")
            )
            for key, (scale, beta) in table.items()
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "henighan_size": henighan_size,
        "henighan_compute": henighan_compute,
        "henighan_image": henighan_image,
        "henighan_optimal_size": henighan_optimal_size,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
