"""Run the core's tests and a session of the Python package under valgrind's memcheck.

    python scripts/memcheck.py                          both
    python scripts/memcheck.py core                     the core's unit and integration tests, part by part
    python scripts/memcheck.py core suite::search       those of one part
    python scripts/memcheck.py session                  the Python session at the end of this file

Reads of memory that is not ours or was never written, and blocks that are lost, end the program with an error. The
core's tests run with two random cases each, since valgrind slows them some fifty times, and without those that sweep
functions for accuracy, compare bits between levels (valgrind computes fused multiply-adds by software of its own) or
are so large that they would take a quarter of an hour each.
Valgrind shows a processor with AVX2 and without AVX-512, so the levels ``baseline`` and ``avx2`` run, and with them one
of the two unsafe calls; the other differs in the features it names.

For CPython ``PYTHONMALLOC=malloc`` makes every object a block that valgrind knows. Only errors with a frame of the
compiled core count: NumPy and CPython have reports of their own, at imports and in vector code that reads past the end
of a string, which say nothing of isoloss.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
SUPPRESSIONS = ROOT / "scripts" / "memcheck.supp"
SKIPPED = (
    *("simd::math::tests", "simd::math::oracle", "bits"),
    *("a_stopped_search_gives_the_groups_it_has_visited", "the_planted_law_comes_back_and_threads_do_not_matter"),
)


def valgrind(command: list[str | Path], environment: dict[str, str], *, ours: str) -> int:
    """Run a command; the number of errors with a frame whose object or file matches `ours`."""
    with tempfile.TemporaryDirectory(prefix="isoloss-memcheck-") as name:
        report = Path(name) / "report.xml"
        options = ["--tool=memcheck", "--error-limit=no", "--leak-check=full", "--show-leak-kinds=definite"]
        options += ["--errors-for-leak-kinds=definite", "--num-callers=30", f"--suppressions={SUPPRESSIONS}"]
        options += ["--xml=yes", f"--xml-file={report}"]
        done = subprocess.run(["valgrind", *options, *command], cwd=ROOT, env=os.environ | environment, check=False)
        if done.returncode:
            sys.exit(f"{command[0]} itself failed with code {done.returncode}")
        errors = 0
        for error in ET.parse(report).getroot().iter("error"):  # noqa: S314 - valgrind wrote it just now
            frames = [" ".join(f.findtext(key, "") for key in ("obj", "fn", "file")) for f in error.iter("frame")]
            if any(re.search(ours, frame) for frame in frames):
                errors += 1
                what = error.findtext("xwhat/text") or error.findtext("what")
                sys.stdout.write(f"{error.findtext('kind')}: {what}\n")
                sys.stdout.writelines(f"    {frame}\n" for frame in frames[:12])
        return errors


def test_binaries() -> dict[str, Path]:
    """The core's test binaries by name, built if they are not."""
    build = ["cargo", "test", "-p", "isoloss-core", "--locked", "--lib", "--tests", "--no-run", "--message-format=json"]
    said = subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    messages = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    tests = [m for m in messages if m.get("executable") and m["profile"]["test"]]
    return {"lib" if "lib" in m["target"]["kind"] else m["target"]["name"]: Path(m["executable"]) for m in tests}


def parts_of(binary: Path) -> dict[str, list[str]]:
    """Names of the tests that run, by the module that they stand in."""
    said = subprocess.run([binary, "--list", "--format=terse"], check=True, capture_output=True, text=True).stdout
    names = [line.removesuffix(": test") for line in said.splitlines() if line.endswith(": test")]
    kept = [name for name in names if not any(word in name for word in SKIPPED)]
    return {part: [name for name in kept if name.split("::")[0] == part] for part in {n.split("::")[0] for n in kept}}


def check_core(only: list[str]) -> int:
    """Errors in the core's tests; a line for each part as it ends."""
    parts = {
        f"{kind}::{part}": (binary, names)
        for kind, binary in test_binaries().items()
        for part, names in sorted(parts_of(binary).items())
    }
    if unknown := set(only) - parts.keys():
        sys.exit(f"no part is called {', '.join(sorted(unknown))}: there are {', '.join(parts)}")
    errors = 0
    for part in only or parts:
        binary, names = parts[part]
        begun = time.monotonic()
        command = [binary, "--test-threads=1", "--quiet", "--exact", *names]
        found = valgrind(command, {"PROPTEST_CASES": "2", "ISOLOSS_SLOWED": "1"}, ours=r"isoloss")
        sys.stdout.write(f"{part}: {len(names)} tests, {found} errors, {time.monotonic() - begun:.0f} s\n")
        sys.stdout.flush()
        errors += found
    return errors


def check_session(_only: list[str]) -> int:
    """Errors of the compiled core in a Python session."""
    return valgrind(
        [sys.executable, __file__, "--inside"], {"PYTHONMALLOC": "malloc"}, ours=r"_core\.abi3|isoloss_core"
    )


def session() -> None:
    """What runs inside valgrind: every door of the compiled core, with arrays of every layout and with errors."""
    import numpy as np

    import isoloss as iso
    from isoloss import _core
    from isoloss.inner import Inner

    law = iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"])
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(2e9, 2e11, 4)))
    loss = law(N=n, D=d, E=1.8, A=480.0, alpha=0.35, B=2100.0, beta=0.37)
    fit = iso.fit(law, iso.read({"N": n, "D": d, "loss": loss}), starts=4, seed=0)
    fit.bootstrap(4, seed=0)
    fit.predict(N=n[::-1], D=d[::-1])
    packed = np.zeros(16, dtype=[("step", "<i4"), ("loss", "<f8")])
    packed["loss"] = loss
    iso.fit_many(law, {"N": n, "D": d}, packed["loss"] * np.ones((3, 1)), starts=np.asfortranarray(np.ones((3, 2, 5))))
    iso.fit_many(law, {"N": n, "D": d}, loss, starts=8, delta="auto", seed=0)
    iso.search(
        fit, {"N": iso.geomspace("100M", "10B", 11), "D": np.unique(d)}, where="6*N*D <= 1e21", within="1%", refine=True
    )
    law.explain()
    summed = iso.law("E + A / N**a * sum_over(k, k.weight * k.x**a)", positive=["E", "A"])
    table = Inner({"weight": np.ones(20), "x": np.arange(1.0, 21.0)}, first=np.arange(16), last=np.arange(2, 18))
    summed(N=n, k=table, E=1.0, A=2.0, a=0.3)
    for text in ("E + (A", "E + " + "(" * 500, "", "E + A/N**"):
        try:
            _core.Expression(text, variables=["N"])
        except ValueError:
            continue
        raise AssertionError(text)


def main(which: list[str]) -> None:
    """Run what is asked for."""
    if which == ["--inside"]:
        session()
        return
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed (on Debian: apt-get install valgrind)")
    checks = {"core": check_core, "session": check_session}
    chosen = {which[0]: checks[which[0]]} if which else checks
    found = {name: check(which[1:]) for name, check in chosen.items()}
    sys.stdout.write(", ".join(f"{name}: {errors} errors" for name, errors in found.items()) + "\n")
    sys.exit(any(found.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
