"""The compiled core. Private: use the typed layer in `isoloss`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

__version__: str
STATUS: list[tuple[str, bool, str]]
"""(name, success, message) of each status code, in the order of the codes."""

class ExpressionError(ValueError):
    """Malformed expression; `args` is (message, position of the character)."""

@final
class Expression:
    def __new__(
        cls,
        text: str,
        *,
        variables: Sequence[str],
        constants: Mapping[str, float] | None = None,
        tables: Mapping[str, Mapping[str, F64]] | None = None,
    ) -> Expression: ...
    @property
    def text(self) -> str: ...
    @property
    def variables(self) -> list[str]: ...
    @property
    def parameters(self) -> list[str]: ...
    @property
    def linear(self) -> list[bool]: ...
    @property
    def inner(self) -> dict[str, list[str]]: ...
    def with_inner(self, tables: Mapping[str, Mapping[str, F64]]) -> Expression: ...
    def evaluate(self, columns: Sequence[F64], parameters: F64, *, threads: int = 0) -> F64: ...
    def explain(self, *, log_scale: Sequence[bool] | None = None) -> str: ...
    def derivatives(self, columns: Sequence[F64], parameters: F64) -> tuple[F64, F64, F64]: ...

def names(text: str) -> list[str]: ...
def fit_batch(
    expression: Expression,
    columns: Sequence[F64],
    targets: F64,
    starts: F64,
    *,
    weights: F64 | None = None,
    target_index: NDArray[np.int64] | None = None,
    weight_index: NDArray[np.int64] | None = None,
    offsets: NDArray[np.int64] | None = None,
    log_scale: Sequence[bool],
    lower: F64,
    upper: F64,
    fixed: Sequence[bool],
    tied: Sequence[int],
    objective: str,
    delta: float,
    deltas: F64 | None = None,
    shape: float = 1.0,
    space: str,
    max_iterations: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
    partial: bool = False,
) -> dict[str, Any]: ...
def robust_sigmas(
    expression: Expression,
    columns: Sequence[F64],
    targets: F64,
    params: F64,
    *,
    weights: F64 | None = None,
    target_index: NDArray[np.int64] | None = None,
    weight_index: NDArray[np.int64] | None = None,
    offsets: NDArray[np.int64] | None = None,
    space: str,
    threads: int = 0,
) -> tuple[F64, F64]: ...
def resample_counts(seed: int, draws: int, clusters: NDArray[np.int64], size: int, *, threads: int = 0) -> F64: ...
def search_grid(
    axes: Sequence[tuple[Sequence[str], Sequence[F64], F64 | None]],
    by: Sequence[int],
    definitions: Sequence[tuple[str, str, Mapping[str, float], Mapping[str, str]]],
    minimize: str,
    *,
    second: str | None = None,
    condition: str | None = None,
    within: float | None = None,
    top: int = 0,
    shape: bool = False,
    tally: bool = False,
    visit: bool = False,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
    partial: bool = False,
) -> dict[str, Any]: ...
def search_between(
    definitions: Sequence[tuple[str, str, Mapping[str, float], Mapping[str, str]]],
    minimize: str,
    columns: Sequence[str],
    low: F64,
    high: F64,
    reached: F64,
    close: F64,
    *,
    condition: str | None = None,
    most: int,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]: ...
def build_info() -> dict[str, str | int | list[str]]: ...
