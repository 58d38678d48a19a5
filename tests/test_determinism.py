"""The same bits on any number of threads and at every SIMD level, and from release to release."""

import json
import os
import runpy
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from isoloss import _core

MAKE = Path(__file__).parent / "golden_results" / "make.py"

# Prints a digest for each shape of data and each call.
SCRIPT = """
import hashlib, json
import numpy as np
import isoloss as iso

def digest(*arrays):
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return whole.hexdigest()

def data(n):
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(16, 24, n)), np.exp(rng.uniform(20, 27, n))
    loss = (1.7 + 400 / N**0.34 + 410 / D**0.28) * np.exp(0.01 * rng.standard_normal(n))
    return {"N": N, "D": D, "loss": loss}

made = {}
for shape, n, draws in (("wide", 60, 100), ("tall", 40_000, 2)):
    table = data(n)
    columns = {"N": table["N"], "D": table["D"]}
    fit = iso.fit("chinchilla", table, starts=1 if shape == "tall" else 8, seed=0)
    made[shape, "fit"] = digest(fit.vector, fit.value, fit.cov)
    drawn = fit.bootstrap(draws, seed=1, starts=0)
    made[shape, "bootstrap"] = digest(drawn.params, drawn.value)
    ripple = 1.0 + 0.01 * np.sin(np.arange(2 * n)).reshape(2, n)
    many = iso.fit_many("chinchilla", columns, table["loss"] * ripple, starts=[1.7, 400.0, 0.34, 410.0, 0.28])
    made[shape, "fit_many"] = digest(many.params, many.value)
    # One group of many cells, or many groups of few.
    axes = {"N": iso.geomspace(1e8, 1e12, 300), "D": iso.geomspace(1e9, 1e13, 300)}
    found = iso.search(fit, axes, where="6*N*D <= 1e23", by=[] if shape == "tall" else ["N"], within=0.01)
    made[shape, "search"] = digest(found.best, found.count)
    if shape == "wide":
        board = iso.compare(iso.read(table), ["chinchilla", "power_law_N"], draws=10, starts=1)
        made[shape, "compare"] = hashlib.sha256(str(board).encode()).hexdigest()
        sweep = iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160])
        hp = iso.fit_hparams(iso.read(sweep), draws=50)
        said = hp.predict(N=7e9, D=1.4e11)
        made[shape, "hparams"] = digest(said.lr, said.batch)
print(json.dumps({" ".join(key): value for key, value in made.items()}))
"""
CALLS = ["fit", "bootstrap", "fit_many", "search"]


def digests(threads, level):
    env = {k: v for k, v in os.environ.items() if not k.startswith("ISOLOSS_")}
    env |= {"ISOLOSS_THREADS": str(threads), "ISOLOSS_SIMD": level}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=170, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reference():
    return digests(1, "baseline")


def test_every_call_is_in_the_table(reference):
    assert set(reference) == {f"{s} {c}" for s in ("wide", "tall") for c in CALLS} | {"wide compare", "wide hparams"}


@pytest.mark.parametrize(("threads", "level"), list(product([1, 2], _core.build_info()["simd_available"]))[1:], ids=str)
def test_threads_and_levels_give_the_same_bits(threads, level, reference):
    assert digests(threads, level) == reference


@pytest.fixture(scope="module")
def golden():
    made = runpy.run_path(str(MAKE))
    return json.loads(made["GOLDEN"].read_text(encoding="utf-8")), made["results"]()


def test_results_of_the_core_are_those_of_the_releases_before_bit_for_bit(golden):
    kept, now = golden
    assert sum(map(len, kept["exact"].values())) > 1_000
    assert now["exact"] == kept["exact"]


def test_results_through_numpy_are_those_of_the_releases_before(golden):
    kept, now = golden
    assert set(now["near"]) == set(kept["near"])
    for name, values in kept["near"].items():
        was, new = ([float.fromhex(text) for text in texts] for texts in (values, now["near"][name]))
        np.testing.assert_allclose(new, was, rtol=1e-9, err_msg=name)
