"""SIGTERM, full disks, memory that is used up, and interpreters beside the main one."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import OutputError

START = """
import os, resource, signal, sys
import numpy as np
import isoloss as iso

runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
fit = iso.fit("chinchilla", runs, starts=4, seed=0)
"""


def python(script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", START + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# SIGTERM -------------------------------------------------------------------------------------------------------

SAVE = """
draws = fit.bootstrap(2000, seed=0)
print("ready", flush=True)
while True:
    fit.save(sys.argv[1], draws=draws)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_file_that_is_being_written_stays_whole(number, tmp_path):
    path = tmp_path / "fit.json"
    random = np.random.default_rng()
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", START + SAVE, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout.readline() == b"ready\n"
        while not path.exists():
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.3))
        process.send_signal(number)
        process.communicate(timeout=20)
        # The library leaves signals alone: the process ends as the system has it, by the signal or its exception.
        assert process.returncode == -number
        assert iso.load(path).draws.params.shape[0] == 2000
    left = [p.name for p in tmp_path.iterdir() if p != path]
    if number == signal.SIGINT:
        assert left == []
    # A process that is killed cannot tidy up; what it leaves is hidden and named for what it is.
    assert all(name.startswith(".fit.json.") and name.endswith(".part") for name in left)


def test_the_command_line_ends_cleanly_on_sigterm(tmp_path):
    sweep = iso.simulate.sweep(settings=1, seed=0)
    rows = np.column_stack([sweep[name] for name in ("N", "D", "loss")])
    np.savetxt(tmp_path / "runs.csv", rows, delimiter=",", header="N,D,loss", comments="")
    command = [sys.executable, "-m", "isoloss", "fit", "runs.csv", "--bootstrap", "100000000", "-o", "fit.json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    time.sleep(4.0)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (143, "", "isoloss: terminated\n")
    assert [p.name for p in tmp_path.iterdir()] == ["runs.csv"]


# Full disks ----------------------------------------------------------------------------------------------------

FULL = """
fit.save(sys.argv[1])
before = open(sys.argv[1]).read()
draws = fit.bootstrap(2000, seed=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
try:
    fit.save(sys.argv[1], draws=draws)
except iso.errors.OutputError as error:
    assert isinstance(error, OSError)
    print(error.code, "File too large" in str(error), open(sys.argv[1]).read() == before)
"""


def test_a_file_that_does_not_fit_is_refused_and_the_old_one_stays(tmp_path):
    done = python(FULL, tmp_path / "fit.json")
    assert done.stdout == "file-unwritable True True\n", done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_places_that_cannot_be_written_are_refused_by_name(tmp_path):
    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)), starts=4)
    for path in (tmp_path / "no" / "fit.json", tmp_path, Path("/proc/fit.json")):
        with pytest.raises(OutputError, match="cannot be written") as caught:
            fit.save(path)
        assert caught.value.code == "file-unwritable"
    assert list(tmp_path.iterdir()) == []


def test_links_and_devices_stay_what_they_are(tmp_path):
    """Once the device itself was replaced by a file, where one may: `report --html /dev/full` as root."""
    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)), starts=4)
    (tmp_path / "there.json").write_text("old")
    (tmp_path / "link.json").symlink_to("there.json")
    fit.save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert iso.load(tmp_path / "there.json").params == fit.params
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(OutputError):
        fit.save(tmp_path / "ring")
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as reader:
        text = reader.submit((tmp_path / "pipe").read_text)
        fit.save(tmp_path / "pipe")
        assert text.result(timeout=20) == (tmp_path / "there.json").read_text()
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.json", "pipe", "ring", "there.json"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
def test_full_devices_are_refused():
    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)), starts=4)
    with pytest.raises(OutputError, match="No space left") as caught:
        fit.save("/dev/full")
    assert caught.value.code == "file-unwritable"
    assert Path("/dev/full").is_char_device()
    for words in (["laws"], ["config", "--json"], ["laws", "nosuch", "--json"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "isoloss", *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert re.fullmatch(r"isoloss: error \[[a-z-]+\]: .+\n", done.stderr)
        if "nosuch" not in words:
            wanted = "isoloss: error [file-unwritable]: standard output cannot be written: No space left on device\n"
            assert (done.returncode, done.stderr) == (1, wanted)


# Memory --------------------------------------------------------------------------------------------------------

SHORT = """
from isoloss.errors import OutOfMemoryError
limit = 1_500_000_000
many = {"N": np.geomspace(1e7, 1e10, 400), "D": np.geomspace(1e9, 1e12, 400)}
targets = np.broadcast_to(np.linspace(4.0, 2.0, 400), (2_000_000, 400))
big = 30_000_000
calls = {
    "fit_many": lambda: iso.fit_many("chinchilla", many, targets, starts=[1.7, 400.0, 0.34, 410.0, 0.28]),
    "predict": lambda: fit.bootstrap(100).predict(N=np.broadcast_to(1e9, (10**9,)), D=1e10),
    "read": lambda: iso.read({"N": np.broadcast_to(1e9, (10**9,)), "loss": np.broadcast_to(3.0, (10**9,))}),
    "search": lambda: iso.search("a + b", {"a": np.arange(1e4), "b": np.arange(1e4)}, by=["a", "b"]),
}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    calls[sys.argv[1]]()
except OutOfMemoryError as error:
    assert isinstance(error, MemoryError)
    print(error.code, str(error).startswith(sys.argv[1]))
print(iso.fit("chinchilla", runs, starts=4, seed=0).params == fit.params)
"""


@pytest.mark.parametrize("which", ["fit_many", "predict", "read", "search"])
def test_more_than_memory_holds_is_refused_and_work_goes_on(which):
    done = python(SHORT, which, env={**os.environ, "ISOLOSS_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"})
    assert done.stdout == "out-of-memory True\nTrue\n", done.stderr[-2000:]


# Interpreters --------------------------------------------------------------------------------------------------


def test_other_interpreters_are_refused_in_words():
    script = """
import importlib
module = importlib.import_module("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
other = module.create()
code = "import isoloss._core"
try:
    said = module.run_string(other, code) if sys.version_info < (3, 13) else module.exec(other, code)
except module.RunFailedError as error:
    said = error
print("ImportError" in str(said), iso.fit("chinchilla", runs, starts=4, seed=0).params == fit.params)
"""
    done = python(script)
    assert done.stdout == "True True\n", done.stderr
