"""Install a wheel into a throw-away environment that has no Rust, and run `smoke.py` there.

What a user gets is the wheel, not this tree: a file left out of it, a dependency that is not
declared or a compiled core that needs the build machine shows up only here.

    python scripts/try_wheel.py dist/isoloss-*.whl
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE.parent / "requirements" / "dev.txt"


def main(wheel: Path) -> None:
    """Refuse a wheel that is not abi3-py311, then install and try it."""
    if "-cp311-abi3-" not in wheel.name:
        sys.exit(f"{wheel.name} is not an abi3 wheel for Python 3.11 and later")
    with tempfile.TemporaryDirectory(prefix="isoloss-wheel-") as name:
        home = Path(name)
        venv.create(home / "env", with_pip=True)
        python = home / "env" / "bin" / "python"
        # Only the environment's own programs: no cargo, no compiler, no other Python.
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "VIRTUAL_ENV", "CARGO", "RUST", "PYO3", "ISOLOSS"))
        } | {"PATH": str(python.parent)}
        install = [
            *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--only-binary", ":all:", "--constraint", PINS, wheel.resolve()),
        ]
        subprocess.run(install, env=clean, cwd=home, check=True)
        subprocess.run([python, "-W", "error", HERE / "smoke.py"], env=clean, cwd=home, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
