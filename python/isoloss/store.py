"""Fits as JSON files: everything that is needed to read, check and repeat them.

A file holds the law, the data, the settings, the results, the bootstrap draws if any, and the versions. Numbers are
written so that they come back bit for bit; infinities and NaN, which JSON lacks, as the texts ``"inf"``, ``"-inf"`` and
``"nan"``. A checksum over the content finds altered files. Nothing is ever executed on reading.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import _core
from isoloss.curves.fit import CurveFit, with_curves
from isoloss.curves.object import Curves
from isoloss.curves.rows import curve_runs
from isoloss.engine.basins import Basins
from isoloss.engine.posing import Settings, pose
from isoloss.engine.status import Status
from isoloss.errors import DataError, IsolossError, Notice
from isoloss.fit.object import Fit
from isoloss.law.object import Law
from isoloss.objective import Objective
from isoloss.runs.reading import Runs
from isoloss.starts import Box
from isoloss.stats.draws import Draws
from isoloss.stats.draws import from_parts as draws_from_parts
from isoloss.stats.inference import Covariance

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["SCHEMA", "VERSION", "fit_from_dict", "fit_to_dict", "load", "save"]

SCHEMA = "isoloss.fit"
VERSION = 1


def save(fit: Fit, path: str | PathLike[str]) -> None:
    """Write a fit to a JSON file, whole or not at all.

    Parameters
    ----------
    fit : Fit
    path : path
        An existing file is replaced.

    Raises
    ------
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import isoloss as iso
    >>> fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "fit.json"
    ...     fit.save(path)
    ...     again = iso.load(path)
    >>> again.params == fit.params
    True
    """
    target = Path(path)
    parts = _sealed(fit_to_dict(fit))
    # A line for each part: readable where it is short, and no line for each of 20,000 numbers.
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(part, allow_nan=False)}" for name, part in parts.items())
    # Written beside the target and moved over it: a reader never sees half a file.
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{{\n{text}\n}}\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(_mode(target))
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, else those a new file gets."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def load(path: str | PathLike[str]) -> Fit:
    """Read a fit that was saved.

    Parameters
    ----------
    path : path

    Returns
    -------
    Fit
        With its data, its attached draws, and the results as they were stored; ``fit.rerun()`` repeats the fit.

    Raises
    ------
    DataError
        Code ``data-unreadable``: there is no such file. Code ``file-schema``: it is truncated, altered, of another kind
        or of a later version.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.load("no_such_fit.json")
    Traceback (most recent call last):
    isoloss.errors.DataError: no_such_fit.json does not exist
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{source} does not exist", code="data-unreadable", path=str(source)) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{source} cannot be read as text: {error}"
        raise DataError(message, code="data-unreadable", path=str(source)) from error
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{source} is no complete JSON file (line {error.lineno}: {error.msg}); it may be truncated"
        raise DataError(message, code="file-schema", path=str(source)) from None
    return fit_from_dict(data, where=str(source))


def fit_to_dict(fit: Fit) -> dict[str, Any]:
    """A fit as plain data for JSON."""
    settings = fit.settings
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "made_by": {"isoloss": _core.__version__, "numpy": np.__version__},
        "law": fit.law.to_dict(),
        **_data_to_dict(fit),
        "settings": {
            "objective": settings.objective.to_dict(),
            "starts": _plain_starts(settings.starts),
            "fix": dict(settings.fix),
            "tie": dict(settings.tie),
            "bounds": {name: list(pair) for name, pair in settings.bounds.items()},
            "weights": settings.weights,
            "seed": settings.seed,
        },
        "result": {
            "objective": fit.objective.to_dict(),
            "params": dict(fit.params),
            "value": fit.value,
            "status": fit.status.name.lower(),
            "success": fit.success,
            "message": fit.status.message,
            "n": fit.n,
            "stderr": fit.stderr,
            "cov": fit.cov,
            "cov_kind": fit.covariance.kind,
            "cov_reason": fit.cov_reason,
            "cov_note": fit.covariance.note,
            "at_bound": dict(fit.at_bound),
            "basins": fit.basins.to_dict(),
            "reserve": fit.reserve,
            "rivals": fit.rivals,
            "seconds": fit.seconds,
            "warnings": [notice.to_dict() for notice in fit.warnings],
        },
        "draws": None if fit.draws is None else _draws_to_dict(fit.draws),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def _data_to_dict(fit: Fit) -> dict[str, Any]:
    """The runs, or the curves that their rows follow from."""
    if isinstance(fit, CurveFit):
        return {"runs": None, "curves": fit.curves.to_dict()}
    return {"runs": fit.runs.to_dict()}


def _draws_to_dict(made: Draws) -> dict[str, Any]:
    names = ("params", "names", "value", "index", "status", "won_by_start", "method", "by", "units", "seed")
    return {
        **{name: getattr(made, name) for name in names},
        "basis": made.basis.to_dict(),
        "warnings": [notice.to_dict() for notice in made.warnings],
    }


def fit_from_dict(data: Any, *, where: str = "the data") -> Fit:
    """A fit from what `fit_to_dict` or a file holds.

    Raises
    ------
    DataError
        Code ``file-schema``.
    """
    _check_schema(data, where)
    try:
        return _fit({**data, **{name: _restored(data[name]) for name in ("settings", "result", "draws")}})
    except IsolossError as error:
        if error.code == "file-schema":
            raise
        raise DataError(f"{where} holds a fit that is refused: {error}", code="file-schema") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(
            f"{where} lacks something or holds it in another form: {error!r}", code="file-schema"
        ) from error


def _check_schema(data: Any, where: str) -> None:
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
        message = f"{where} is no saved fit (schema {found!r}, not {SCHEMA!r})"
        raise DataError(message, code="file-schema")
    if data.get("version") != VERSION:
        message = f"{where} has version {data.get('version')!r} of the schema; this isoloss reads version {VERSION}"
        raise DataError(message, code="file-schema", version=data.get("version"))
    if "sha256" in data and data["sha256"] != _digest(data):
        raise DataError(f"{where} was altered: its checksum does not match", code="file-schema")


def _fit(data: Mapping[str, Any]) -> Fit:
    asked, found = data["settings"], data["result"]
    law = Law.from_dict(data["law"])
    curves = Curves.from_dict(data["curves"]) if data.get("curves") is not None else None
    runs = Runs.from_dict(data["runs"]) if curves is None else curve_runs(law, curves)
    settings = Settings(
        objective=Objective.from_dict(asked["objective"]),
        starts=_starts(asked["starts"]),
        fix=asked["fix"],
        tie=asked["tie"],
        bounds={name: (pair[0], pair[1]) for name, pair in asked["bounds"].items()},
        weights=None if asked["weights"] is None else np.array(asked["weights"], dtype=np.float64),
        seed=int(asked["seed"]),
    )
    problem = pose(law, runs, settings)
    if "objective" in found:  # files of older versions hold it in the settings alone
        problem = replace(problem, objective=Objective.from_dict(found["objective"]))
    p = len(problem.names)
    cov = None if found["cov"] is None else np.array(found["cov"], dtype=np.float64).reshape(p, p)
    made = Fit(
        law=law,
        runs=runs,
        params={name: float(found["params"][name]) for name in problem.names},
        value=float(found["value"]),
        status=Status[found["status"].upper()],
        basins=Basins.from_dict(found["basins"]),
        covariance=Covariance(cov=cov, kind=found["cov_kind"], reason=found["cov_reason"], note=found["cov_note"]),
        at_bound={name: int(side) for name, side in found["at_bound"].items()},
        warnings=tuple(Notice.from_dict(notice) for notice in found["warnings"]),
        seconds=float(found["seconds"]),
        settings=settings,
        problem=problem,
        reserve=np.array(found["reserve"], dtype=np.float64).reshape(-1, p),
        rivals=int(found["rivals"]),
    )
    if curves is not None:
        made = with_curves(made, curves)
    return made if data["draws"] is None else made.with_draws(draws_from_parts(data["draws"], made.bound))


def _plain_starts(starts: Any) -> Any:
    """Starts with their kind, since a grid by name and an array look alike in JSON."""
    if starts is None or isinstance(starts, int):
        return starts
    if isinstance(starts, Box):
        return {"box": starts.to_dict()}
    if isinstance(starts, Mapping):
        return {"grid": dict(starts)}
    return {"points": starts}


def _starts(stored: Any) -> Any:
    if stored is None or isinstance(stored, int):
        return stored
    if "box" in stored:
        return Box.from_dict(stored["box"])
    if "grid" in stored:
        return {name: np.array(values, dtype=np.float64) for name, values in stored["grid"].items()}
    return np.array(stored["points"], dtype=np.float64)


def _plain(value: Any) -> Any:
    """Arrays as lists, and numbers that JSON lacks as texts."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _restored(value: Any) -> Any:
    """Inverse of `_plain` for numbers."""
    if isinstance(value, Mapping):
        return {name: _restored(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def _digest(data: Mapping[str, Any]) -> str:
    content = {name: item for name, item in data.items() if name != "sha256"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _sealed(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "sha256": _digest(data)}
