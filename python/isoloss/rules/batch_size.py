r"""Batch size and learning rate together: tests that grow the batch, and how the learning rate follows it.

AdAdaGrad (Lau et al. 2024) grows the batch when the gradient's noise exceeds its signal. With per-sample gradients g_i
and their mean g, the norm test asks for b >= |Var(g_i)|_1 / (eta^2 |g|^2), in all or in every coordinate; the
inner-product test looks along g and across it. Granziol et al. (2022) say how the learning rate follows the batch: in
proportion for SGD, as the root for adaptive methods, until the curvature of the full batch is what limits it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError
from isoloss.law.parts import Published, Source
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ENTRIES",
    "Curvature",
    "GradientNoise",
    "batch_curvature",
    "coordinate_test",
    "gradient_noise",
    "inner_product_test",
    "lr_for_batch",
    "norm_test",
]

F64 = NDArray[np.float64]
_FAMILY = "batch_size"
ADADAGRAD = Source(
    "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods", "2402.11215", "Lau, Liu, Kolar", 2024
)
GRANZIOL = Source(
    "Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural Network Training",
    "2006.09092",
    "Granziol, Zohren, Roberts",
    2020,
)
_CODE = "timlautk/AdAdaGrad at cc126fb"


class GradientNoise(NamedTuple):
    """Statistics of per-sample gradients, as the tests take them."""

    norm2: float
    variance: float
    inner: float
    orthogonal: float


_GRADIENTS = {"gradients": Quantity("1", "gradients, (samples, parameters)", positive=False)}


def _per_sample(gradients: F64) -> F64:
    g = np.asarray(gradients)
    if g.ndim != 2 or g.shape[0] < 2:
        raise DataError("input 'gradients' is an array (samples, parameters) of two samples or more", code="data-shape")
    return g


def _noise(gradients: F64) -> GradientNoise:
    g = _per_sample(gradients)
    mean = g.mean(axis=0)
    norm2 = float(mean @ mean)
    along = g @ mean
    across = g - np.outer(along / norm2, mean) if norm2 > 0.0 else g
    return GradientNoise(
        norm2,
        float(g.var(axis=0, ddof=1).sum()),
        float(along.var(ddof=1)),
        float(across.var(axis=0, ddof=1).sum()),
    )


def gradient_noise() -> Rule:
    """Statistics of per-sample gradients that the batch tests need.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("gradient_noise")(gradients=[[2.0, 0.0], [4.0, 0.0], [3.0, 1.0], [3.0, -1.0]])
    GradientNoise(norm2=9.0, variance=1.3333333333333333, inner=6.0, orthogonal=0.6666666666666666)
    """
    return Rule(
        name="gradient_noise",
        family=_FAMILY,
        formula=("norm2 = |g|^2", "variance = sum of Var(g_i)", "inner = Var(<g_i, g>)"),
        latex_lines=(
            r"\left\lVert g \right\rVert^2",
            r"\sum_j \operatorname{Var}(g_{ij})",
            r"\operatorname{Var}\left(\langle g_i, g \rangle\right)",
        ),
        gives="norm2, variance, inner, orthogonal: inputs of norm_test and inner_product_test",
        function=_noise,
        variables=_GRADIENTS,
        source=ADADAGRAD,
        status="verified",
        states_law=False,
        notes=(
            "Variances divide by samples - 1. Over workers: mean of the variances plus variance of the means.",
            "|g|^2 of a small batch is too large by variance/samples, so the tests ask for too little early on.",
        ),
    )


def _grown(wanted: F64 | float, batch: F64 | float, cap: float | None) -> F64:
    grown = np.ceil(np.maximum(batch, wanted))
    return grown if cap is None else np.minimum(grown, np.maximum(cap, batch))


def _norm_test(
    batch: F64 | float, variance: F64 | float, norm2: F64 | float, eta: float, cap: float | None
) -> F64 | float:
    return _grown(variance / (eta**2 * norm2), batch, cap)


_BATCH = {
    "batch": Quantity("samples", "batch now"),
    "norm2": Quantity("1", "squared norm of the mean gradient"),
}
_CAP = {"cap": Quantity("samples", "largest batch", optional=True)}


def norm_test() -> Rule:
    """Next batch by the norm test.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("norm_test")("imagenet", batch=256, variance=90.0, norm2=9.0)
    1000.0
    """
    return Rule(
        name="norm_test",
        family=_FAMILY,
        formula=("b = ceil(max(batch, variance / (eta**2 * norm2)))",),
        gives="samples of the next batch",
        function=_norm_test,
        variables={**_BATCH, "variance": Quantity("1", "sum over parameters of the gradients' variance")},
        parameters={"eta": Quantity("1", "tolerance", high=1.0), **_CAP},
        source=ADADAGRAD,
        status="verified",
        states_law=False,
        published={
            "mnist": Published({"eta": 0.1}, f"{_CODE}, main.py and scripts"),
            "imagenet": Published({"eta": 0.1}, f"{_CODE}, main.py and scripts"),
            "resnet50": Published({"eta": 0.25}, f"{_CODE}, main.py and scripts"),
            "resnet18_cifar10": Published({"eta": 0.5}, f"{_CODE}, main.py and scripts"),
        },
        notes=(
            "The batch never shrinks; the code then rounds it to whole micro-batches of all workers.",
            "variance / norm2 is the simple noise scale, so the test asks for noise scale / eta^2.",
            "For AdaGrad, whose step is scaled coordinate by coordinate, see coordinate_test.",
        ),
    )


def _coordinate_test(gradients: F64, batch: float, eta: float, cap: float | None) -> F64 | float:
    g = _per_sample(gradients)
    mean, variance = g.mean(axis=0), g.var(axis=0, ddof=1)
    # A coordinate without noise passes at any batch, also where its mean is zero; noise without a mean never passes.
    noisy = variance > 0.0
    with np.errstate(divide="ignore"):
        wanted = variance[noisy] / (eta**2 * mean[noisy] ** 2)
    return _grown(wanted.max(initial=0.0), batch, cap)


def coordinate_test() -> Rule:
    """Next batch by the norm test of every coordinate.

    Examples
    --------
    >>> import isoloss as iso
    >>> gradients = [[2.0, 0.5], [4.0, 0.5], [3.0, 1.5], [3.0, 1.5]]
    >>> iso.rules.get("coordinate_test")(gradients=gradients, batch=2, eta=0.25)  # 0.667/9 and 0.333/1, over 0.0625
    6.0
    """
    return Rule(
        name="coordinate_test",
        family=_FAMILY,
        formula=("b = ceil(max(batch, max over j of Var(g_ij) / (eta**2 * g_j**2)))",),
        latex_lines=(
            (
                r"b = \left\lceil \max\left(\mathrm{batch},\ \max_j "
                r"\frac{\operatorname{Var}_i\left(g_{ij}\right)}{\eta^2 g_j^2}\right) \right\rceil"
            ),
        ),
        gives="samples of the next batch",
        function=_coordinate_test,
        variables={**_GRADIENTS, "batch": _BATCH["batch"]},
        parameters={"eta": Quantity("1", "tolerance", high=1.0), **_CAP},
        source=ADADAGRAD,
        status="derived",
        states_law=False,
        notes=(
            (
                "The paper has a test by coordinates for AdaGrad, which its code does not; its formula could not be "
                "read. This is the norm test asked of each coordinate by itself."
            ),
            "Coordinates with hardly any mean gradient ask for very large batches: give a cap.",
            "No batch that passes here fails the norm test with the same eta.",
        ),
    )


def _inner_test(
    batch: F64 | float,
    norm2: F64 | float,
    inner: F64 | float,
    orthogonal: F64 | float,
    theta: float,
    nu: float,
    cap: float | None,
) -> F64 | float:
    return _grown(np.maximum(inner / (theta**2 * norm2**2), orthogonal / (nu**2 * norm2)), batch, cap)


def inner_product_test() -> Rule:
    """Next batch by the inner-product test, augmented by the orthogonality test.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("inner_product_test")("paper", batch=1, norm2=9.0, inner=405.0, orthogonal=0.0)
    20.0
    """
    return Rule(
        name="inner_product_test",
        family=_FAMILY,
        formula=("b = ceil(max(batch, max(inner / (theta**2 * norm2**2), orthogonal / (nu**2 * norm2))))",),
        gives="samples of the next batch",
        function=_inner_test,
        variables={
            **_BATCH,
            "inner": Quantity("1", "variance of the inner product with the mean gradient", low=0.0, positive=False),
            "orthogonal": Quantity("1", "variance across the mean gradient", 0.0, 0.0, positive=False),
        },
        parameters={"theta": Quantity("1", "tolerance along"), "nu": Quantity("1", "tolerance across"), **_CAP},
        source=ADADAGRAD,
        status="verified",
        states_law=False,
        published={"paper": Published({"theta": 0.5, "nu": 1.0}, f"{_CODE}, tests.py and scripts")},
    )


def _lr(
    batch: F64 | float, batch0: F64 | float, lr0: F64 | float, exponent: float, curvature: F64 | float | None
) -> F64 | float:
    scaled = lr0 * (batch / batch0) ** exponent
    return scaled if curvature is None else np.minimum(scaled, 2.0 / curvature)


def lr_for_batch() -> Rule:
    """Learning rate at another batch size: linear for SGD, square root for adaptive methods.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("lr_for_batch")
    >>> rule("sgd", batch=1024, batch0=256, lr0=0.1), rule("adam", batch=1024, batch0=256, lr0=0.1)
    (0.4, 0.2)
    """
    abstract = "arXiv:2006.09092, abstract"
    return Rule(
        name="lr_for_batch",
        family=_FAMILY,
        formula=("lr = min(lr0 * (batch / batch0)**exponent, 2 / curvature)",),
        gives="learning rate",
        function=_lr,
        variables={
            "batch": Quantity("samples", "batch to use"),
            "batch0": Quantity("samples", "batch of the known learning rate"),
            "lr0": Quantity("1", "known learning rate"),
        },
        parameters={
            "exponent": Quantity("1", "1 linear, 0.5 square root", low=0.0, high=2.0, positive=False),
            "curvature": Quantity("1", "largest curvature of the batch, caps the rate", optional=True),
        },
        source=GRANZIOL,
        status="verified",
        published={
            "sgd": Published({"exponent": 1.0}, abstract, note="plain gradient descent"),
            "adam": Published({"exponent": 0.5}, abstract, note="Adam and other adaptive methods"),
        },
        notes=(
            "Both rules end where the curvature of the full batch dominates that of the noise; see batch_curvature.",
            "Constants of the theorems could not be read.",
        ),
    )


class Curvature(NamedTuple):
    """Largest curvature of a batch, and the learning rate at which gradient descent on it becomes unstable."""

    curvature: F64 | float
    lr_max: F64 | float


def _spiked(
    batch: F64 | float, curvature: F64 | float, noise: F64 | float, P: float, samples: float | None
) -> Curvature:
    effective = batch if samples is None else batch / np.maximum(1.0 - batch / samples, 1e-300)
    edge = noise * np.sqrt(P / effective)
    top = np.where(curvature > edge, curvature + edge**2 / curvature, 2.0 * edge)
    return Curvature(top, 2.0 / top)


def batch_curvature() -> Rule:
    """Largest curvature of a batch from that of all data: an outlier of a noisy matrix.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("batch_curvature")(batch=4, curvature=1.0, noise=0.02, P=1500)
    Curvature(curvature=1.15, lr_max=1.7391304347826089)
    """
    return Rule(
        name="batch_curvature",
        family=_FAMILY,
        formula=(
            "b = batch / (1 - batch / samples)",
            "edge = noise * sqrt(P / b)",
            "top = where(curvature > edge, curvature + edge**2 / curvature, 2 * edge)",
            "lr_max = 2 / top",
        ),
        gives="curvature, lr_max: of the batch",
        function=_spiked,
        variables={
            "batch": Quantity("samples", "batch size"),
            "curvature": Quantity("1", "largest eigenvalue of the Hessian on all data"),
            "noise": Quantity("1", "standard deviation of an element of a sample's Hessian"),
            "P": Quantity("parameters", "size of the model"),
        },
        parameters={"samples": Quantity("samples", "size of the data set; unlimited if left out", optional=True)},
        source=GRANZIOL,
        status="derived",
        notes=(
            "The spiked Wigner result, confirmed by simulation; the wording of the paper's theorem could not be read.",
            (
                "Below the threshold the bulk edge 2 * edge is the top, and the rate grows as the root of the batch. "
                "The "
                "linear "
                "rule for SGD does not follow from this formula."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "gradient_noise": gradient_noise,
        "norm_test": norm_test,
        "coordinate_test": coordinate_test,
        "inner_product_test": inner_product_test,
        "lr_for_batch": lr_for_batch,
        "batch_curvature": batch_curvature,
    }
)
"""The rules of this family by name."""
