"""Published measurements, fetched from their authors' repositories.

Nothing is shipped with the package: a data set is an upstream address at a pinned commit, the roles of its columns, its
licence, and the SHA-256 of the numbers that a fit would read. `fetch` downloads the file once into a cache (pooch),
`load` reads it and compares the numbers with the checksum, so that neither a changed file nor a broken download passes.

The checksum is taken of the numbers and not of the bytes: columns in the order of `Dataset.columns`, rows sorted, as
little-endian float64. A file that is written otherwise and says the same is the same data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import DataError, did_you_mean, missing_extra
from isoloss.runs.reading import Runs, read
from isoloss.runs.table import as_numbers, open_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Dataset", "cache_dir", "describe", "fetch", "load", "names"]

_HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Where a published data set is, and what its columns mean.

    Attributes
    ----------
    name, title : str
    repository, commit, path : str
        Of the file upstream.
    licence : str
        As stated there; "none stated" asks for care: use the data, do not pass them on.
    columns : mapping of str to str
        Role to column, as `isoloss.read` takes them.
    options : mapping of str to object
        Further arguments of `isoloss.read`: units, sequence length.
    rows : int
    sha256 : str
        Of the numbers; see the module documentation.
    notes : str
    """

    name: str
    title: str
    repository: str
    commit: str
    path: str
    licence: str
    columns: Mapping[str, str]
    rows: int
    sha256: str
    notes: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address of the file; ``ISOLOSS_DATASETS_URL`` names a mirror in place of the host."""
        host = os.environ.get("ISOLOSS_DATASETS_URL", _HOST).rstrip("/")
        return f"{host}/{self.repository}/{self.commit}/{self.path}"

    def __str__(self) -> str:
        roles = ", ".join(f"{role} from {column!r}" for role, column in self.columns.items())
        lines = (
            f"{self.name}: {self.title}",
            f"  rows     {self.rows:,}",
            f"  columns  {roles}",
            f"  source   {self.repository} at {self.commit[:12]}, {self.path}",
            f"  licence  {self.licence}",
            f"  notes    {self.notes}",
        )
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


_STEPLAW_COLUMNS = {"N": "N", "D": "D", "lr": "lr", "batch": "bs", "loss": "smooth loss"}
_STEPLAW_OPTIONS = {"batch_unit": "sequences", "seq_len": 2048, "n_counts": "non-embedding"}

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        made.name: made
        for made in (
            Dataset(
                name="chinchilla",
                title="Chinchilla's runs as read off a figure by Epoch AI (Besiroglu et al. 2024, arXiv:2404.10102)",
                repository="epoch-research/analyzing-chinchilla",
                commit="92258837425e1b5f2851d624287f0120583a3d0e",
                path="data/svg_extracted_data.csv",
                licence="none stated",
                columns={"N": "Model Size", "C": "Training FLOP", "loss": "loss"},
                options={"n_counts": "total"},
                rows=245,
                sha256="97ea4defb099f09759d49a8ae8147a3537cc7301e11e01789d0802f7209d5ff8",
                notes="losses come from colours, so ties exist; the usual fit leaves out the five highest losses",
            ),
            Dataset(
                name="steplaw_dense",
                title="Step Law, dense models: learning rate and batch swept in 17 (N, D) cells (Li et al. 2025, "
                "arXiv:2503.04715)",
                repository="step-law/steplaw",
                commit="32a8f4cc5024",
                path="data/dense_lr_bs_loss.csv",
                licence="none stated",
                columns=_STEPLAW_COLUMNS,
                options=_STEPLAW_OPTIONS,
                rows=1911,
                sha256="d8df49cad92fe3ab4e314e524ca77aff936e8ad83f91d6cf1be4a188f0b87d1c",
                notes="the loss is the smoothed training loss; diverged runs up to 11 nats are included",
            ),
            Dataset(
                name="steplaw_moe",
                title="Step Law, mixtures of experts: 16 cells (Li et al. 2025, arXiv:2503.04715)",
                repository="step-law/steplaw",
                commit="32a8f4cc5024",
                path="data/moe_lr_bs_loss.csv",
                licence="none stated",
                columns=_STEPLAW_COLUMNS,
                options=_STEPLAW_OPTIONS,
                rows=708,
                sha256="c1a38e2717a8df089d5cb0fca2efa87df64a0cc5b6d983814d97b328fc9dce89",
                notes="N is the total number of parameters, not the activated one",
            ),
        )
    }
)
"""The data sets by name."""


def names() -> tuple[str, ...]:
    """Names of all data sets.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.datasets.names()
    ('chinchilla', 'steplaw_dense', 'steplaw_moe')
    """
    return tuple(DATASETS)


def describe(name: str) -> Dataset:
    """What a data set is, where it comes from and under which licence.

    Parameters
    ----------
    name : str

    Raises
    ------
    DataError
        Code ``dataset-unknown``, with the nearest names.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.datasets.describe("chinchilla").licence
    'none stated'
    """
    if name not in DATASETS:
        message = f"there is no data set {name!r}{did_you_mean(name, DATASETS)}; known: {', '.join(DATASETS)}"
        raise DataError(message, code="dataset-unknown", name=name)
    return DATASETS[name]


def cache_dir() -> Path:
    """Folder of the downloads: ``ISOLOSS_CACHE``, else the user's cache folder of the operating system.

    Raises
    ------
    MissingExtraError
        Without pooch.
    """
    chosen = os.environ.get("ISOLOSS_CACHE")
    return Path(chosen) if chosen else Path(_pooch().os_cache("isoloss"))


def fetch(name: str) -> Path:
    """The upstream file of a data set, downloaded unless it is in the cache.

    Parameters
    ----------
    name : str

    Returns
    -------
    Path
        Of the file as the authors wrote it. `load` checks its numbers.

    Raises
    ------
    DataError
        Codes ``dataset-unknown``; ``dataset-unreachable`` when the download fails.
    MissingExtraError
        Without pooch: ``pip install 'isoloss[data]'``.
    """
    wanted = describe(name)
    pooch = _pooch()
    folder = cache_dir() / wanted.name / wanted.commit[:12]
    try:
        # pooch lets through whatever its transport raises, so everything is caught and told by address.
        found = pooch.retrieve(wanted.url, known_hash=None, fname=Path(wanted.path).name, path=folder)
    except Exception as error:
        message = f"the data set {name!r} could not be fetched from {wanted.url}: {error}"
        raise DataError(message, code="dataset-unreachable", name=name) from error
    return Path(found)


def load(name: str) -> Runs:
    """The runs of a published data set.

    Parameters
    ----------
    name : str

    Returns
    -------
    Runs
        With N, D and C, the loss, and what else was measured (see `describe`).

    Raises
    ------
    DataError
        Codes ``dataset-unknown``, ``dataset-unreachable``; ``dataset-checksum`` when the numbers are not the published
        ones: the file is then removed from the cache.
    MissingExtraError
        Without pooch: ``pip install 'isoloss[data]'``.
    """
    wanted = describe(name)
    path = fetch(name)
    fault = _fault(path, wanted)
    if fault:
        path.unlink(missing_ok=True)
        message = f"the numbers of {wanted.url} are not those of the data set {name!r}: {fault}"
        raise DataError(message, code="dataset-checksum", name=name)
    roles: dict[str, Any] = {**wanted.columns, **wanted.options}
    return read(path, **roles)


def _fault(path: Path, wanted: Dataset) -> str:
    """What is wrong with a downloaded file; empty if it holds the published numbers."""
    try:
        table = open_table(path)
        lacking = [column for column in wanted.columns.values() if column not in table.names]
        if lacking:
            return f"there is no column {lacking[0]!r}"
        raw = table.select(list(wanted.columns.values()))
    except DataError as error:
        return str(error)
    found = digest([as_numbers(raw[column], suffixes=False)[0] for column in wanted.columns.values()])
    return "" if found == wanted.sha256 else f"their SHA-256 is {found}, not {wanted.sha256}"


def digest(columns: list[NDArray[np.float64]]) -> str:
    """SHA-256 of a table of numbers, whatever the order of its rows."""
    table = np.column_stack([np.asarray(column, dtype="<f8") for column in columns])
    table = table[np.lexsort(table.T[::-1])]
    return hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest()


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise missing_extra("pooch", "data") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch
