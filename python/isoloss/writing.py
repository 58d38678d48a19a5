"""Files written whole or not at all. Private."""

from __future__ import annotations

import os
import secrets
from os import PathLike
from pathlib import Path

from isoloss.errors import OptionError, OutputError

__all__ = ["as_path", "write_whole"]


def as_path(path: str | PathLike[str]) -> Path:
    """A path from what a user gives.

    Raises
    ------
    OptionError
        Code ``option``: neither a text nor a path.
    """
    if isinstance(path, (str, PathLike)):
        return Path(path)
    raise OptionError(f"path={path!r:.80} is not a path", argument="path")


def write_whole(path: str | PathLike[str], content: str | bytes) -> None:
    """Write a file beside its target and move it over it: a reader never sees half a file.

    A link stays a link, to the file that is replaced. What is no file, such as ``/dev/stdout`` or a pipe, is written to
    and stays what it is.

    Raises
    ------
    OutputError
        Code ``file-unwritable``: the disk is full, say. A file that stood there is untouched.
    """
    target = as_path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        place = target.resolve() if target.is_symlink() else target
        if place.exists() and not (place.is_file() or place.is_dir()):
            place.write_bytes(data)
            return
        temporary = place.parent / f".{place.name}.{secrets.token_hex(6)}.part"
        # A new file gets the permissions that any new file gets; one that is replaced keeps its own.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except (OSError, RuntimeError, ValueError) as error:
        # A ring of links is a RuntimeError; a NUL, or half of a surrogate pair, a ValueError.
        raise _unwritable(target, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if place.exists():
            temporary.chmod(place.stat().st_mode & 0o777)
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(target, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unwritable(target: Path, error: Exception) -> OutputError:
    name = str(target)
    shown = name if name.isprintable() else repr(name)
    message = f"{shown[:200]} cannot be written: {getattr(error, 'strerror', None) or error}"
    return OutputError(message, code="file-unwritable", path=name)
