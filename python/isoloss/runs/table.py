"""Where runs come from: files, frames of any library, dicts of arrays; and frames to give results back in.

CSV files are read with the standard library. That needs no frame library, keeps only the columns in use, and refuses a
bad cell in the same words whatever is installed. Parquet and frames go through narwhals.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import DataError, MissingExtraError, did_you_mean, missing_extra
from isoloss.units import parse_number

__all__ = ["BadCell", "Table", "add_columns", "as_numbers", "make_frame", "open_table"]

F64 = NDArray[np.float64]
Backend = Literal["polars", "pyarrow", "pandas"]
_BACKENDS: tuple[Backend, ...] = ("polars", "pyarrow", "pandas")
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "<na>"})
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:([,. '\u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_ROWS_AT_ONCE = 65_536
_SHOWN = 80  # characters of a cell that a message quotes
_CSV = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, fetched when asked for.

    ``select(names)`` gives the raw values of each, all of one length. ``select(names, numbers)`` may give those of the
    second list as float64 at once where every cell is a number: text is only kept where it is looked at.
    """

    names: tuple[str, ...]
    select: Callable[..., dict[str, Any]]
    backend: str
    label: str


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that cannot be used: its row, its text, the code of the error and why."""

    row: int
    shown: str
    code: str
    reason: str


# Opening --------------------------------------------------------------------------------------------


def open_table(source: Any) -> Table:
    """A table from a path, a mapping of arrays, or a frame that narwhals knows."""
    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source))
    if isinstance(source, Mapping):
        return _open_mapping(source)
    return _open_frame(source)


def _open_file(path: Path) -> Table:
    suffixes = [s.lower() for s in path.suffixes]
    kind = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else (suffixes or [""])[-1]
    try:
        present = path.is_file()
    except OSError as error:  # a name too long, a loop of links
        message = f"{str(path)[:_SHOWN]}: {error.strerror}"
        raise DataError(message, code="data-unreadable", path=str(path)) from error
    if not present:
        if path.is_dir():
            message = f"{path} is a directory; give a file in it"
        else:
            beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            message = f"{path} does not exist{did_you_mean(path.name, beside)}"
        raise DataError(message, code="data-unreadable", path=str(path))
    if kind in _CSV:
        return _open_csv(path, "\t" if kind == ".tsv" else None)
    if kind in _PARQUET:
        return _open_parquet(path)
    message = f"{path}: files of type {kind or 'unknown'!r} are not read; give CSV, TSV or Parquet"
    raise DataError(message, code="data-source", path=str(path))


def _file_backend() -> Backend | None:
    """The library that reads Parquet and gives results back: the first one installed."""
    return next((name for name in _BACKENDS if find_spec(name) is not None), None)


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    # utf-8-sig swallows the byte order mark that spreadsheet programs write.
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        message = f"{path.name} cannot be read as text: {error}{_other_encoding(path)}"
        raise DataError(message, code="data-unreadable", path=str(path)) from error


def _other_encoding(path: Path) -> str:
    """A hint where the first bytes of a file tell what it is instead of UTF-8 text."""
    with path.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"PK\x03\x04"):
        return "; it is a zip archive or a spreadsheet: save it as CSV"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) * 3 > len(start):
        return "; it looks like UTF-16 or UTF-32: save it as UTF-8"
    if start.startswith(b"\x1f\x8b") and path.suffix.lower() != ".gz":
        return "; it is compressed: name it .csv.gz"
    return ""


def _refuse_nul(path: Path, cells: Iterable[str], where: str) -> None:
    """A NUL in a name or a cell: the file is binary, damaged, or in another encoding."""
    if any("\0" in cell for cell in cells):
        message = f"{path.name} cannot be read as text: {where} holds a NUL character{_other_encoding(path)}"
        raise DataError(message, code="data-unreadable", path=str(path))


def _open_csv(path: Path, delimiter: str | None) -> Table:
    with _text(path) as stream:
        head = next((line for line in stream if line.strip()), "")
        if not head:
            raise DataError(f"{path.name} is empty", code="data-unreadable", path=str(path))
        if delimiter is None:
            counts = {mark: head.count(mark) for mark in ",;\t"}
            delimiter = max(counts, key=lambda mark: counts[mark]) if any(counts.values()) else ","
        # The header may itself hold quoted line breaks, so the reader gets the rest of the stream too.
        header = next(csv.reader(chain([head], stream), delimiter=delimiter))
    _refuse_nul(path, header, "the header")
    names = tuple(name.strip() or f"column_{i}" for i, name in enumerate(header))
    _refuse_duplicates(names, path.name)

    def select(wanted: Sequence[str], numbers: Collection[str] = ()) -> dict[str, Any]:
        columns = _csv_columns(path, delimiter, names, wanted, numbers)
        # A cell that is no number, or is written as 7B: those columns once more, as text.
        text = [name for name in wanted if columns[name] is None]
        return {**columns, **_csv_columns(path, delimiter, names, text, ())} if text else columns

    return Table(names, select, _file_backend() or "dict", path.name)


def _csv_columns(
    path: Path, delimiter: str, names: tuple[str, ...], wanted: Sequence[str], numbers: Collection[str]
) -> dict[str, Any]:
    """The wanted columns as texts; those of `numbers` as float64, or None where a cell is no plain number."""
    texts: dict[str, list[str]] = {name: [] for name in wanted if name not in numbers}
    parts: dict[str, list[F64] | None] = {name: [] for name in wanted if name in numbers}
    place = {name: names.index(name) for name in wanted}
    with _text(path) as stream:
        rows = _csv_rows(path, stream, delimiter, len(names))
        while block := list(islice(rows, _ROWS_AT_ONCE)):
            for name, cells in texts.items():
                cells.extend([row[place[name]] for row in block])
            for name, made in parts.items():
                if made is None:
                    continue
                try:
                    made.append(np.array([float(row[place[name]]) for row in block], dtype=np.float64))
                except ValueError:
                    parts[name] = None
    joined = {name: None if made is None else np.concatenate([np.empty(0), *made]) for name, made in parts.items()}
    return {name: joined[name] if name in joined else texts[name] for name in wanted}


def _csv_rows(path: Path, stream: IO[str], delimiter: str, width: int) -> Iterator[list[str]]:
    """Rows of data, each with as many cells as there are names."""
    rows = (row for row in csv.reader(stream, delimiter=delimiter) if row)
    # Lines of blanks only are no header, as in `_open_csv`.
    next(row for row in rows if len(row) > 1 or row[0].strip())
    count = 0
    for row in rows:
        if len(row) != width:
            if len(row) == 1 and not row[0].strip():
                continue
            _refuse_nul(path, row, f"row {count}")
            message = f"{path.name}, row {count}: {len(row)} cells under {width} column names"
            raise DataError(message, code="data-shape", row=count)
        count += 1
        yield row


def _refuse_duplicates(names: Iterable[str], label: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            message = f"{label}: two columns are named {name!r}"
            raise DataError(message, code="data-duplicate-column", column=name)
        seen.add(name)


def _open_parquet(path: Path) -> Table:
    import narwhals.stable.v2 as nw

    backend = _file_backend()
    if backend is None:
        raise missing_extra("polars", "cli")
    try:
        frame = nw.read_parquet(str(path), backend=backend)
    except Exception as error:
        message = f"{path.name} cannot be read as Parquet: {error}"
        raise DataError(message, code="data-unreadable", path=str(path)) from error
    return _of_narwhals(frame, path.name)


def _open_mapping(source: Mapping[Any, Any]) -> Table:
    names = tuple(str(name) for name in source)
    _refuse_duplicates(names, "the dict")
    originals = dict(zip(names, source, strict=True))

    def select(wanted: Sequence[str], _numbers: Collection[str] = ()) -> dict[str, Any]:
        chosen = {name: _one_dimensional(source[originals[name]], name) for name in wanted}
        lengths = {name: len(column) for name, column in chosen.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(f"columns differ in length: {listed}", code="data-shape", lengths=lengths)
        return chosen

    return Table(names, select, "dict", "a dict of arrays")


def _one_dimensional(values: Any, name: str) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"column {name!r} is not an array: {error}", code="data-shape", column=name) from error
    if array.ndim != 1:
        message = f"column {name!r} has {array.ndim} dimensions, not one"
        raise DataError(message, code="data-shape", column=name)
    return array


def _open_frame(source: Any) -> Table:
    import narwhals.stable.v2 as nw

    try:
        frame = nw.from_native(source)
    except TypeError:
        message = (
            f"{type(source).__name__} is not a source of runs; give a path to CSV or Parquet, a pandas, polars or "
            "pyarrow table, or a dict of arrays"
        )
        raise DataError(message, code="data-source") from None
    except ValueError as error:
        # Frames with repeated column names are refused here by narwhals itself.
        raise DataError(f"the frame is refused: {error}", code="data-duplicate-column") from error
    if not isinstance(frame, nw.LazyFrame):
        return _of_narwhals(frame, "")
    try:
        eager = frame.collect()
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"the lazy frame cannot be computed: {reason[0]}", code="data-source") from error
    return _of_narwhals(eager, "")


def _of_narwhals(frame: Any, label: str) -> Table:
    backend = frame.implementation.name.lower()
    names = tuple(str(name) for name in frame.columns)
    _refuse_duplicates(names, label or f"the {backend} frame")
    originals = dict(zip(names, frame.columns, strict=True))

    def select(wanted: Sequence[str], _numbers: Collection[str] = ()) -> dict[str, Any]:
        return {name: _narwhals_values(frame.get_column(originals[name])) for name in wanted}

    return Table(names, select, backend, label or f"a {backend} frame")


def _narwhals_values(series: Any) -> Any:
    import narwhals.stable.v2 as nw

    if series.dtype.is_integer() and not series.null_count():
        # As they are: identifiers used as groups may exceed what a double can tell apart.
        return np.asarray(series.to_numpy())
    if series.dtype.is_float() or series.dtype.is_decimal() or series.dtype == nw.Boolean:
        # The cast turns nulls of every library into NaN.
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    return series.to_list()


# Cells to numbers -----------------------------------------------------------------------------------


def as_numbers(values: Any, *, suffixes: bool) -> tuple[F64, dict[int, BadCell]]:
    """Float64 values, and the cells that are not finite numbers, by row.

    Parameters
    ----------
    values : array or list
        Numbers or text.
    suffixes : bool
        Whether text such as ``7B`` counts as a number.
    """
    array = values if isinstance(values, np.ndarray) else None
    if array is not None and array.dtype.kind in "biuf":
        with np.errstate(over="ignore"):  # a long double beyond the range of doubles is refused as infinite below
            numbers = np.ascontiguousarray(array, dtype=np.float64)
        bad: dict[int, BadCell] = {}
    else:
        cells = list(values) if array is None or array.dtype.kind != "M" else [str(v) for v in array]
        numbers, bad = _from_cells(cells, suffixes)
    for row in np.flatnonzero(~np.isfinite(numbers)).tolist():
        if row not in bad:
            value = numbers[row]
            reason = "is NaN or missing" if np.isnan(value) else "is infinite"
            bad[row] = BadCell(row, str(value), "data-nonfinite", reason)
    return numbers, dict(sorted(bad.items()))


def _from_cells(cells: list[Any], suffixes: bool) -> tuple[F64, dict[int, BadCell]]:
    try:
        return np.array([_number(cell) for cell in cells], dtype=np.float64), {}
    except (TypeError, ValueError, OverflowError):
        pass
    numbers = np.full(len(cells), np.nan)
    bad: dict[int, BadCell] = {}
    for row, cell in enumerate(cells):
        try:
            numbers[row] = _number(cell)
        except (TypeError, ValueError, OverflowError):
            text = "" if cell is None else str(cell).strip()
            if text.lower() in _MISSING:
                bad[row] = BadCell(row, text, "data-nonfinite", "is missing")
                continue
            try:
                numbers[row] = parse_number(text) if suffixes and isinstance(cell, str) else np.nan
            except DataError:
                numbers[row] = np.nan
            if np.isnan(numbers[row]):
                bad[row] = BadCell(row, _quoted(text), "data-nonnumeric", f"is not a number{_number_hint(text)}")
    return numbers, bad


def _quoted(text: str) -> str:
    """A cell for a message, which a whole file in one cell must not fill."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text):,} characters)"


def _number_hint(text: str) -> str:
    if _THOUSANDS.fullmatch(text):
        return " (thousands separators? write 1000000, 1e6 or 1_000_000)"
    return " (a decimal comma?)" if text.replace(",", "", 1).isdigit() else ""


def _number(cell: Any) -> float:
    if isinstance(cell, np.complexfloating):
        raise TypeError("complex")  # NumPy would only warn
    return float(cell)


# Giving results back ---------------------------------------------------------------------------------


def make_frame(columns: Mapping[str, ArrayLike], backend: str) -> Any:
    """A frame of the named library holding the columns; a dict of arrays for ``"dict"``.

    Raises
    ------
    MissingExtraError
        The library is not installed here, as where a saved result is read on another machine.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if backend == "dict":
        return arrays
    import narwhals.stable.v2 as nw

    try:
        return nw.from_dict(arrays, backend=cast("Backend", backend)).to_native()
    except (ImportError, ValueError) as error:
        message = f"tables come in the library of the runs, {backend!r:.80}, which is not installed here"
        raise MissingExtraError(message, module=backend[:80]) from error


def add_columns(frame: Any, columns: Mapping[str, ArrayLike]) -> Any:
    """The same kind of frame with columns added (a pandas index is kept); a mapping gives a dict."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if isinstance(frame, Mapping):
        return {**frame, **arrays}
    import narwhals.stable.v2 as nw

    wrapped = nw.from_native(frame)
    eager = wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped
    made = [nw.new_series(name, array, backend=eager.implementation) for name, array in arrays.items()]
    if eager.implementation.is_pandas_like():
        # New columns align by index there, so they must carry the frame's own.
        index = nw.maybe_get_index(eager)
        made = [nw.maybe_set_index(series, index=index) for series in made]
    return eager.with_columns(*made).to_native()
