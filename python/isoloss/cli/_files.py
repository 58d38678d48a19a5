"""Files that commands name: what is read from them, and whether they can be written."""

import tomllib
from pathlib import Path
from typing import Any

from isoloss.cli import _parse
from isoloss.cli._parse import UsageError

__all__ = ["must_be_writable", "must_exist", "read_options"]


def must_exist(path: Path) -> None:
    """Refuse a file that is not there."""
    if not path.is_file():
        raise UsageError(f"no such file: {path}")


def must_be_writable(path: Path) -> None:
    """Say so before the work is done, not after it."""
    try:
        folder = path.resolve().parent
        there = folder.is_dir()
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise UsageError(f"{str(path)!r} is no path: {error}") from error
    if not there:
        raise UsageError(f"no such directory: {folder}")


def read_options(path: Path | None, role: list[str], batch_unit: str | None, seq_len: int | None) -> dict[str, Any]:
    """Arguments of `isoloss.read` from a map in TOML and from options, which go over it."""
    found = {} if path is None else _mapped(path)
    options: dict[str, Any] = {**found, **_parse.roles(role)}
    unit = batch_unit if batch_unit is not None else str(found.get("batch_unit", "tokens"))
    if unit not in {"tokens", "sequences"}:
        raise UsageError(f"--batch-unit: tokens or sequences, not {unit!r}")
    if unit != "tokens":
        options["batch_unit"] = unit
    if seq_len is not None:
        options["seq_len"] = seq_len
    return options


def _mapped(path: Path) -> dict[str, Any]:
    must_exist(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--map {path}: {error}") from error
    found = {**table.pop("roles", {}), **table}
    for name, value in found.items():
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            raise UsageError(f"--map {path}: {name} is a {type(value).__name__}, not the name of a column")
    return found
