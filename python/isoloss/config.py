"""What this installation is and what it will use: for bug reports and for reproducing timings."""

import os
import platform
import sys
from typing import Any

import numpy as np

from isoloss import _core

__all__ = ["info", "made_by", "show_config"]


def info() -> dict[str, Any]:
    """Describe the installed package, the engine's build and the machine.

    Returns
    -------
    dict of str to object
        ``version``, ``profile`` (``release`` or ``debug``), ``target``, ``simd`` (level in use),
        ``simd_available`` (levels this CPU can run), ``threads`` (used by default), ``python``,
        ``numpy``, ``platform``, ``cpus``, and ``environment`` (the ``ISOLOSS_*`` variables set).

    Examples
    --------
    >>> import isoloss as iso
    >>> described = iso.config.info()
    >>> described["simd"] in described["simd_available"]
    True
    """
    build = dict(_core.build_info())
    ordered = {name: build.pop(name) for name in ("version", "profile", "target", "simd", "simd_available", "threads")}
    return {
        **ordered,
        **build,
        "cpus": os.cpu_count(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "platform": platform.platform(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("ISOLOSS_")},
    }


def made_by() -> dict[str, str]:
    """What decides the bits of a result on this machine; saved results carry it.

    Returns
    -------
    dict of str to str
        ``isoloss`` and ``numpy`` (versions) and ``simd`` (level in use).

    Examples
    --------
    >>> import isoloss as iso
    >>> sorted(iso.config.made_by())
    ['isoloss', 'numpy', 'simd']
    """
    return {"isoloss": _core.__version__, "numpy": np.__version__, "simd": str(_core.build_info()["simd"])}


def show_config() -> None:
    """Print version, build profile, SIMD level, threads and the versions around the package.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.show_config()  # doctest: +ELLIPSIS
    isoloss  ...
    profile  ...
    """
    sys.stdout.write(as_text(info()) + "\n")


def as_text(described: dict[str, Any]) -> str:
    """Lay out the result of `info` in two columns."""
    labels = {
        "version": "isoloss",
        "simd_available": "SIMD available",
        "simd": "SIMD in use",
        "cpus": "CPUs",
        "python": "Python",
        "numpy": "NumPy",
    }
    rows = []
    for name, value in described.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}={item}" for key, item in value.items()) or "none set"
        elif isinstance(value, (list, tuple)):
            text = ", ".join(map(str, value))
        else:
            text = str(value)
        rows.append((labels.get(name, name), text))
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)
