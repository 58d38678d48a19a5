"""Ctrl-C, progress callbacks and partial results; threads, forks and environments; the same bits everywhere."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import isoloss as iso
from isoloss import _core
from isoloss.engine.status import Status
from isoloss.errors import OptionError
from isoloss.stats.draws import RANK_DEFICIENT

LAW = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
N = np.geomspace(1e7, 1e10, 12)
START = [1.5, 200.0, 0.3]
CANCELLED = int(Status["CANCELLED"])


def noisy(B, seed=0):
    noise = np.random.default_rng(seed).standard_normal((B, len(N)))
    return LAW(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(0.005 * noise)


def run(script, *arguments, **environment):
    """Standard output of a script in an interpreter of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ISOLOSS_")} | environment
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Ctrl-C -------------------------------------------------------------------------------------------------------

SIGNALS = Path(__file__).parents[1] / "benches" / "interrupts.py"


@pytest.mark.parametrize(
    "which",
    [
        *("tall", "many", "panel", "bootstrap", "cases", "band", "allocate", "evaluate", "counts", "search"),
        *("recipes", "scoring", "again"),
    ],
)
def test_ctrl_c_ends_every_long_call_within_half_a_second(which):
    """Every one of six signals at random moments; other work on the machine may spoil two tries of three."""
    said = []
    for _ in range(3):
        command = [sys.executable, str(SIGNALS), "--only", which, "--signals", "6"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150)
        said.append(done.stdout + done.stderr)
        assert "threads left over: 0" in done.stdout, said
        if done.returncode == 0:
            return
    pytest.fail("\n".join(said))


def stop_at(fraction):
    return lambda done, total: done >= fraction * total


def test_partial_rows_are_right_or_cancelled():
    targets = noisy(30_000)
    starts = np.tile(START, (30_000, 1))
    options = {"starts": starts, "objective": "absolute_log"}
    whole = iso.fit_many(LAW, {"N": N}, targets, **options)
    part = iso.fit_many(LAW, {"N": N}, targets, progress=stop_at(0.01), on_interrupt="partial", **options)
    assert 0 < part.cancelled.sum() < 30_000
    done = ~part.cancelled
    assert np.array_equal(part.params[done], whole.params[done])
    assert np.array_equal(part.status[done], whole.status[done])
    assert np.isnan(part.params[~done]).all()
    assert np.isnan(part.value[~done]).all()
    assert "cancelled" in set(part.to_frame("dict")["status"])
    assert repr(part) in str(part)


@pytest.mark.parametrize("panel", [False, True])
def test_a_row_that_lacks_a_start_is_not_finished(panel):
    x = np.tile(N, (20_000, 1)) if panel else N
    options = {"starts": np.tile(START, (20_000, 3, 1))}
    whole = iso.fit_many(LAW, {"N": x}, noisy(20_000), **options)
    table = iso.fit_many(LAW, {"N": x}, noisy(20_000), progress=lambda *_: True, on_interrupt="partial", **options)
    assert table.starts == 3
    assert table.cancelled.any()
    assert np.isnan(table.value[table.cancelled]).all()
    assert np.array_equal(table.status[~table.cancelled], whole.status[~table.cancelled])
    assert np.array_equal(table.value[~table.cancelled], whole.value[~table.cancelled])


def test_an_interrupted_part_is_the_last(monkeypatch):
    monkeypatch.setattr(sys.modules["isoloss.fit.many"], "_AT_ONCE", 8_000)
    table = iso.fit_many(LAW, {"N": N}, noisy(24_000), starts=START, progress=stop_at(0.34), on_interrupt="partial")
    assert not table.cancelled[:8_000].any()
    assert table.cancelled[16_000:].all()


def test_a_stream_ends_with_the_interrupted_chunk():
    def make(first, last):
        return {"variables": {"N": N}, "targets": noisy(last - first, first)}

    stream = iso.fit_many_chunks(
        LAW, make, size=60_000, chunk_size=20_000, starts=START, progress=stop_at(0.34), on_interrupt="partial"
    )
    tables = list(stream)
    assert [len(table) for table in tables] == [20_000, 20_000]
    assert not tables[0].cancelled.any()


def test_a_partial_fit_says_so():
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(16, 23, 2_000))
    y = LAW(N=x, E=1.8, A=400.0, alpha=0.34) * np.exp(0.01 * rng.standard_normal(2_000))
    starts = np.tile(START, (3_000, 1)) * rng.uniform(0.5, 2.0, (3_000, 1))
    data = {"N": x, "D": x, "loss": y}
    fit = iso.fit(LAW, data, starts=starts, progress=stop_at(0.01), on_interrupt="partial")
    assert [notice.code for notice in fit.warnings if notice.severity == "serious"] == ["interrupted"]
    assert 0 < fit.basins.failed < 3_000
    assert fit.success
    assert fit.cov is None
    assert fit.value == pytest.approx(iso.fit(LAW, data).value, rel=1e-6)
    assert "interrupted" in fit.summary()
    nothing = iso.fit(LAW, data, starts=starts[:1], progress=lambda *_: True, on_interrupt="partial")
    assert nothing.status in (Status["CANCELLED"], Status["CONVERGED"])


def test_partial_draws_are_the_first_to_be_right():
    fit = iso.fit(LAW, {"N": N, "D": N, "loss": noisy(1)[0]})
    whole = fit.bootstrap(40_000, seed=3)
    part = fit.bootstrap(40_000, seed=3, progress=stop_at(0.01), on_interrupt="partial")
    undone = part.status == CANCELLED
    assert 0 < undone.sum() < 40_000
    assert "interrupted" in [notice.code for notice in part.warnings]
    common = np.isin(whole.index, part.index)
    assert np.array_equal(whole.params[common], part.params)
    assert not undone[part.index].any()
    assert set(np.unique(part.status[~undone])) <= set(range(len(_core.STATUS))) | {RANK_DEFICIENT}


# Progress -----------------------------------------------------------------------------------------------------


class OddError(Exception):
    pass


@pytest.mark.parametrize("choice", ["raise", "partial"])
def test_an_exception_of_a_callback_comes_back_unchanged(choice):
    error = OddError("mine")

    def fail(done, total):
        raise error

    fit = iso.fit(LAW, {"N": N, "D": N, "loss": noisy(1)[0]})
    calls = [
        lambda: iso.fit_many(LAW, {"N": N}, noisy(5_000), starts=START, progress=fail, on_interrupt=choice),
        lambda: iso.fit(LAW, {"N": N, "D": N, "loss": noisy(1)[0]}, progress=fail, on_interrupt=choice),
        lambda: fit.bootstrap(2_000, progress=fail, on_interrupt=choice),
    ]
    for call in calls:
        with pytest.raises(OddError) as caught:
            call()
        assert caught.value is error


def test_true_from_a_callback_stops_as_an_interrupt():
    with pytest.raises(KeyboardInterrupt):
        iso.fit_many(LAW, {"N": N}, noisy(5_000), starts=START, progress=lambda *_: True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_interrupt": "stop"}, "on_interrupt='stop'"),
        ({"progress": 3}, "progress=3"),
        ({"n_threads": 0}, "n_threads=0"),
        ({"n_threads": -1}, "n_threads=-1"),
        ({"n_threads": True}, "n_threads=True"),
        ({"n_threads": 1.5}, "n_threads=1.5"),
        ({"n_threads": "two"}, "n_threads='two'"),
        ({"n_threads": 5000}, "n_threads=5000"),
    ],
)
def test_options_of_long_work_are_checked_everywhere(options, words):
    fit = iso.fit(LAW, {"N": N, "D": N, "loss": noisy(1)[0]})
    calls = [
        lambda: iso.fit_many(LAW, {"N": N}, noisy(2), **options),
        lambda: iso.fit(LAW, fit.runs, **options),
        lambda: fit.bootstrap(5, **options),
    ]
    for call in calls:
        with pytest.raises(OptionError, match=words):
            call()


# Threads, forks, environments ---------------------------------------------------------------------------------

BITS = """
import hashlib, json, sys
import numpy as np
import isoloss as iso

def bits(n_threads=None):
    rng = np.random.default_rng(0)
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    N = np.geomspace(1e7, 1e10, 40)
    truth = law(N=N, E=1.8, A=400.0, alpha=0.34)
    targets = truth * np.exp(0.01 * rng.standard_normal((64, 40)))
    wide = iso.fit_many(law, {"N": N}, targets, objective="huber_log", n_threads=n_threads)
    panel = iso.fit_many(law, {"N": np.tile(N, 64)}, targets.ravel(), offsets=np.r_[0, np.cumsum([30, 50] * 32)],
                         starts=[1.5, 200.0, 0.3], n_threads=n_threads)
    x = np.exp(rng.uniform(16, 23, 150_000))
    y = law(N=x, E=1.8, A=400.0, alpha=0.34) * np.exp(0.01 * rng.standard_normal(len(x)))
    tall = iso.fit_many(law, {"N": x}, y, starts=[1.5, 200.0, 0.3], objective="huber_log", n_threads=n_threads)
    fit = iso.fit(law, {"N": N, "D": N, "loss": targets[0]}, objective="squared_log", n_threads=n_threads)
    draws = fit.bootstrap(300, seed=5, n_threads=n_threads)
    made = {"wide": wide.params, "panel": panel.params, "tall": tall.params, "fit": fit.vector, "draws": draws.params,
            "predicted": draws.predict(N=N).high}
    assert wide.success.all() and panel.success.all() and tall.success.all()
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in made.items()}
"""
space = {}
exec(BITS, space)
bits = space["bits"]


@pytest.fixture(scope="module")
def reference():
    return bits(1)


def test_one_and_two_threads_and_many_give_the_same_bits(reference):
    assert bits(2) == reference
    assert bits(5) == reference


def test_python_threads_at_once_give_the_same_bits(reference):
    gate = threading.Barrier(4)

    def work(k):
        gate.wait()
        return bits(1 + k % 2)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [reference] * 4


def test_threads_of_the_environment_are_honoured():
    ask = "from isoloss import _core; print(_core.build_info()['threads'])"
    assert run(ask, ISOLOSS_THREADS="3") == "3"
    assert int(run(ask)) == len(os.sched_getaffinity(0))
    assert run(ask, ISOLOSS_THREADS=" ") == run(ask)


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "99999"])
def test_bad_numbers_of_threads_in_the_environment_are_refused(value):
    script = """
import isoloss as iso
try:
    iso.fit_many("E + A / N**alpha", {"N": [1e7, 1e8, 1e9, 1e10]}, [4.0, 3.0, 2.5, 2.3])
except ValueError as error:
    print(error)
"""
    said = run(script, ISOLOSS_THREADS=value)
    assert value in said
    assert "thread" in said.lower()


FORK = (
    BITS
    + """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of any fork beside threads; here it is the point
before = bits(2)
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, json.dumps(bits(2)).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read) as pipe:
    said = pipe.read()
print(os.waitpid(child, 0)[1], json.loads(said) == before, bits(2) == before)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_fits_again():
    assert run(FORK) == "0 True True"


def digest(seed):
    table = iso.fit_many(LAW, {"N": N}, noisy(3_000, seed), starts=START, n_threads=2)
    return hashlib.sha256(table.params.tobytes()).hexdigest()


SPAWN = """
import hashlib, multiprocessing, sys
import numpy as np
import isoloss as iso

def digest(seed):
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    N = np.geomspace(1e7, 1e10, 12)
    noise = np.random.default_rng(seed).standard_normal((3_000, len(N)))
    targets = law(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(0.005 * noise)
    table = iso.fit_many(law, {"N": N}, targets, starts=[1.5, 200.0, 0.3], n_threads=2)
    return hashlib.sha256(table.params.tobytes()).hexdigest()

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(*pool.map(digest, range(3)))
"""


def test_spawned_processes_give_the_same_bits(tmp_path):
    script = tmp_path / "work.py"  # a spawned child reads its main module from a file
    script.write_text(SPAWN, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [digest(seed) for seed in range(3)], done.stderr
