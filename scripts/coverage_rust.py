"""Lines, regions and branches of the core that its own tests and those of Python reach.

    python scripts/coverage_rust.py                     the core's own tests
    python scripts/coverage_rust.py .venv/bin/python    and, by that Python, the package's tests of what the core does
    python scripts/coverage_rust.py --missed FILE       lines of one file that the last run did not reach

to be run with the Python of requirements/coverage.txt. Tests and extension are built once more with counters
(`instrumented-rustc`) in a target directory of their own; the package's tests run on a copy of the package that holds
this extension. LLVM's own tools merge and print the counts. They come from PyPI, since rustup's component llvm-tools is
not always there: they must be of the LLVM of rustc or a later one, which is checked. Files of tests among the sources
do not count.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "coverage"
PACKAGE = TARGET / "package" / "isoloss"
PROFILE = TARGET / "merged.profdata"
# What was built with counters, one path a line, for `--missed`.
BUILT = TARGET / "built.txt"
TOOLS = Path(sysconfig.get_paths()["purelib"]) / "llvm" / "bin"
CORE = ROOT / "rust" / "core" / "src"
# Those of the package's tests that go through the core's doors; the others reach nothing more of it. Tests that watch
# the clock or the memory are not among them, nor those of large batches: counters make the core several times slower.
DRIVING = (
    *("expressions", "fit", "fit_many", "fit_many_delta", "groups", "inner", "law", "layouts", "losses"),
    *("objective", "search", "search_results", "units"),
)
INSTRUMENTED = {
    "RUSTC_WORKSPACE_WRAPPER": str(ROOT / "scripts" / "instrumented-rustc"),
    "CARGO_TARGET_DIR": str(TARGET),
    "CARGO_PROFILE_TEST_OPT_LEVEL": "1",
    "CARGO_PROFILE_DEV_OPT_LEVEL": "2",
}


def run(*command: str | Path, shown: bool = False, **environment: str) -> str:
    """Standard output of a command that must succeed; `shown`: it goes to ours instead."""
    pipe = None if shown else subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, stdout=pipe, text=True)
    return done.stdout or ""


def check_versions() -> None:
    """LLVM's tools read the formats of their own version and of earlier ones."""
    rustc = re.search(r"LLVM version: (\d+)", run("rustc", "-vV"))
    tools = re.search(r"LLVM version (\d+)", run(TOOLS / "llvm-cov", "--version"))
    assert rustc
    assert tools
    if int(tools[1]) < int(rustc[1]):
        sys.exit(f"rustc is of LLVM {rustc[1]}, the tools are of LLVM {tools[1]}: change requirements/coverage.in")


def build(*what: str) -> list[dict]:
    """What cargo says of each artifact that it builds with counters."""
    said = run("cargo", *what, "--locked", "--message-format=json", **INSTRUMENTED)
    messages = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [message for message in messages if message["reason"] == "compiler-artifact"]


def run_own_tests() -> list[str]:
    """Run the core's unit and integration tests; their executables."""
    artifacts = build("test", "-p", "isoloss-core", "--lib", "--tests", "--no-run")
    executables = [a["executable"] for a in artifacts if a["executable"] and a["profile"]["test"]]
    for executable in executables:
        run(executable, "--quiet", shown=True, LLVM_PROFILE_FILE=str(TARGET / "own-%2m.profraw"))
    return executables


def run_python_tests(python: str) -> list[str]:
    """Run tests of the package on an extension with counters; the extension."""
    artifacts = build("build", "-p", "isoloss-py")
    (library,) = [name for a in artifacts if a["target"]["name"] == "_core" for name in a["filenames"]]
    shutil.rmtree(PACKAGE, ignore_errors=True)
    shutil.copytree(ROOT / "python" / "isoloss", PACKAGE, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(library, PACKAGE / "_core.abi3.so")
    here = {"PYTHONPATH": str(PACKAGE.parent), "LLVM_PROFILE_FILE": str(TARGET / "python-%2m.profraw")}
    found = run(python, "-c", "import isoloss._core as core; print(core.__file__)", **here)
    assert Path(found.strip()) == PACKAGE / "_core.abi3.so", found
    tests = [f"tests/test_{name}.py" for name in DRIVING]
    run(python, "-m", "pytest", "-q", "--timeout=900", *tests, shown=True, **here)
    return [library]


def merge(built: list[str]) -> None:
    """Merge the counts that the processes left behind."""
    run(TOOLS / "llvm-profdata", "merge", "-sparse", *TARGET.glob("*.profraw"), "-o", PROFILE)
    BUILT.write_text("\n".join(built), encoding="utf-8")


def llvm_cov(command: str, *options: str, sources: Path = CORE) -> str:
    """What llvm-cov says of some sources, by the counts of the last run."""
    first, *others = BUILT.read_text(encoding="utf-8").splitlines()
    objects = [part for other in others for part in ("-object", other)]
    return run(TOOLS / "llvm-cov", command, *options, f"-instr-profile={PROFILE}", first, *objects, sources)


def report() -> None:
    """One line for each part of the core, and one for all."""
    files = json.loads(llvm_cov("export", "-summary-only"))["data"][0]["files"]
    parts: dict[str, dict[str, list[float]]] = {}
    kinds = ("lines", "regions", "branches")
    for file in files:
        name = Path(file["filename"]).relative_to(CORE)
        if name.stem in {"tests", "oracle"}:
            continue
        for part in (name.parts[0], "core"):
            for kind in kinds:
                total = parts.setdefault(part, {}).setdefault(kind, [0, 0])
                total[0] += file["summary"][kind]["covered"]
                total[1] += file["summary"][kind]["count"]
    sys.stdout.write(f"{'':12}" + "".join(f"{kind:>28}" for kind in kinds) + "\n")
    for part in [*sorted(parts.keys() - {"core"}), "core"]:
        shown = (f"{c:,.0f} of {n:,.0f} {c / max(n, 1):7.1%}" for c, n in parts[part].values())
        sys.stdout.write(f"{part:12}" + "".join(f"{text:>28}" for text in shown) + "\n")


def missed(file: Path) -> None:
    """Lines of a source file that the last run did not reach, with their numbers."""
    shown = llvm_cov("show", "-show-instantiations=false", sources=file.resolve())
    sys.stdout.writelines(f"{line}\n" for line in shown.splitlines() if re.match(r"\s*\d+\|\s*0\|", line))


def main(arguments: list[str]) -> None:
    """Build with counters, run, report; or show what the last run missed."""
    if arguments[:1] == ["--missed"]:
        missed(Path(arguments[1]))
        return
    check_versions()
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.glob("*.profraw"):
        old.unlink()
    built = run_own_tests()
    merge(built)
    report()
    for python in arguments:
        built += run_python_tests(python)
        merge(built)
        sys.stdout.write("with the package's tests\n")
        report()


if __name__ == "__main__":
    main(sys.argv[1:])
