"""Lines, regions and branches of the core that its own tests reach.

    python scripts/coverage_rust.py         with the Python of requirements/coverage.txt

The tests are built once more with counters (`instrumented-rustc`) in a target directory of their own and run; LLVM's
own tools merge and print the counts. They come from PyPI, since rustup's component llvm-tools is not always there: they
must be of the LLVM of rustc or a later one, which is checked.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "coverage"
TOOLS = Path(sysconfig.get_paths()["purelib"]) / "llvm" / "bin"
CORE = ROOT / "rust" / "core" / "src"


def run(*command: str | Path, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def check_versions() -> None:
    """LLVM's tools read the formats of their own version and of earlier ones."""
    rustc = re.search(r"LLVM version: (\d+)", run("rustc", "-vV"))
    tools = re.search(r"LLVM version (\d+)", run(TOOLS / "llvm-cov", "--version"))
    assert rustc
    assert tools
    if int(tools[1]) < int(rustc[1]):
        sys.exit(f"rustc is of LLVM {rustc[1]}, the tools are of LLVM {tools[1]}: change requirements/coverage.in")


def counted(executables: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Summaries by file of the core, from the counts that the executables left behind."""
    profile = TARGET / "merged.profdata"
    run(TOOLS / "llvm-profdata", "merge", "-sparse", *TARGET.glob("*.profraw"), "-o", profile)
    objects = [part for executable in executables[1:] for part in ("-object", executable)]
    said = run(
        TOOLS / "llvm-cov", "export", "-summary-only", f"-instr-profile={profile}", executables[0], *objects, CORE
    )
    return {file["filename"]: file["summary"] for file in json.loads(said)["data"][0]["files"]}


def report(files: dict[str, dict[str, dict[str, float]]]) -> None:
    """One line for each part of the core, and one for all."""
    parts: dict[str, dict[str, list[float]]] = {}
    kinds = ("lines", "regions", "branches")
    for name, summary in files.items():
        folder = Path(name).relative_to(CORE).parts[0]
        for part in (folder, "core"):
            for kind in kinds:
                total = parts.setdefault(part, {}).setdefault(kind, [0, 0])
                total[0] += summary[kind]["covered"]
                total[1] += summary[kind]["count"]
    sys.stdout.write(f"{'':12}" + "".join(f"{kind:>28}" for kind in kinds) + "\n")
    for part in [*sorted(parts.keys() - {"core"}), "core"]:
        shown = (f"{c:,.0f} of {n:,.0f} {c / max(n, 1):7.1%}" for c, n in parts[part].values())
        sys.stdout.write(f"{part:12}" + "".join(f"{text:>28}" for text in shown) + "\n")


def main() -> None:
    """Build with counters, run, report."""
    check_versions()
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.glob("*.profraw"):
        old.unlink()
    said = run(
        *("cargo", "test", "-p", "isoloss-core", "--locked", "--lib", "--tests", "--no-run", "--message-format=json"),
        RUSTC_WORKSPACE_WRAPPER=str(ROOT / "scripts" / "instrumented-rustc"),
        CARGO_TARGET_DIR=str(TARGET),
        CARGO_PROFILE_TEST_OPT_LEVEL="1",
    )
    messages = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    executables = [m["executable"] for m in messages if m.get("executable") and m["profile"]["test"]]
    for executable in executables:
        run(executable, "--quiet", LLVM_PROFILE_FILE=str(TARGET / "%p-%m.profraw"))
    report(counted(executables))


if __name__ == "__main__":
    main()
