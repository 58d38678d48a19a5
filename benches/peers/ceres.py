"""Ceres Solver through a small C++ program that is compiled here, where its headers are installed."""

import ctypes
from pathlib import Path

import numpy as np
from common import F64, Case, MissingError, compiled, pointer

from peers import Peer


def peers(case: Case, quick: bool) -> list[Peer]:
    eigen = next((path for path in ("/usr/include/eigen3", "/usr/local/include/eigen3") if Path(path).is_dir()), None)
    if eigen is None:
        raise MissingError("libceres-dev not installed")
    try:
        library = compiled("ceres.cpp", "g++", "-O3", "-march=native", f"-I{eigen}", link=("-lceres", "-lglog"))
    except MissingError as reason:
        raise MissingError(f"libceres-dev not usable ({reason})") from None
    columns = [np.ascontiguousarray(column) for column in case.columns]

    def fit(starts: F64, counts: F64) -> F64:
        starts, counts = np.ascontiguousarray(starts), np.ascontiguousarray(counts)
        out = np.empty_like(starts)
        library.fit(
            ctypes.c_long(len(starts)),
            ctypes.c_long(counts.shape[1]),
            *map(pointer, columns),
            pointer(counts),
            ctypes.c_double(case.delta),
            pointer(starts),
            pointer(out),
        )
        return out

    return [Peer("Ceres, dense normal equations", 200 if quick else 1000, fit)]
