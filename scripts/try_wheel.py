"""Install a wheel into throw-away environments that have no Rust, and run `smoke.py` there.

What a user gets is the wheel, not this tree: a file left out of it, a dependency that is not
declared or a compiled core that needs the build machine shows up only here. It is tried with the oldest release of
each hard dependency that its metadata allow, and with the newest that there is.

    python scripts/try_wheel.py dist/isoloss-*.whl              this Python
    python scripts/try_wheel.py dist/isoloss-*.whl python3.13   another one
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE.parent / "requirements" / "dev.txt"


def lowest(wheel: Path) -> list[str]:
    """``name==version`` of each hard dependency, at the lower end of its range."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    required = re.findall(r"^Requires-Dist: (?P<name>[\w-]+)>=(?P<low>[\w.]+)$", metadata, re.MULTILINE)
    assert dict(required).keys() == {"numpy", "narwhals"}, required
    return [f"{name}=={low}.*" if low.count(".") < 2 else f"{name}=={low}" for name, low in required]


def try_in(python: str, wheel: Path, label: str, extra: list[str | Path]) -> None:
    """Make an environment, install there and run the trial."""
    with tempfile.TemporaryDirectory(prefix="isoloss-wheel-") as name:
        home = Path(name)
        subprocess.run([python, "-m", "venv", home / "env"], check=True)
        inside = home / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        # Only the environment's own programs: no cargo, no compiler, no other Python.
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "VIRTUAL_ENV", "CARGO", "RUST", "PYO3", "ISOLOSS"))
        } | {"PATH": str(inside.parent)}
        install = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        subprocess.run([*install, *extra, wheel.resolve()], env=clean, cwd=home, check=True)
        subprocess.run([inside, "-W", "error", HERE / "smoke.py", label], env=clean, cwd=home, check=True)


def main(wheel: Path, python: str = sys.executable) -> None:
    """Refuse a wheel that is not abi3-py311, then try it with the oldest and the newest dependencies."""
    if "-cp311-abi3-" not in wheel.name:
        sys.exit(f"{wheel.name} is not an abi3 wheel for Python 3.11 and later")
    if python == sys.executable and sys.version_info[:2] == (3, 11):
        try_in(python, wheel, "oldest", list(lowest(wheel)))  # NumPy 1.26 has no wheels for Python 3.13 and later
        try_in(python, wheel, "newest", ["--constraint", PINS])
    else:
        try_in(python, wheel, "newest", [])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
