"""Files written whole or not at all. Private."""

from __future__ import annotations

import os
import secrets
from os import PathLike
from pathlib import Path

from isoloss.errors import OutputError

__all__ = ["write_whole"]


def write_whole(path: str | PathLike[str], content: str | bytes) -> None:
    """Write a file beside its target and move it over it: a reader never sees half a file.

    Raises
    ------
    OutputError
        Code ``file-unwritable``: the disk is full, say. A file that stood there is untouched.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(6)}.part"
    try:
        # A new file gets the permissions that any new file gets; one that is replaced keeps its own.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        message = f"{target} cannot be written: {error.strerror or error}"
        raise OutputError(message, code="file-unwritable", path=str(target)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
