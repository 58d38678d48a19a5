"""Write the pins of requirements/: what pip resolves each NAME.in to in an empty environment.

    python scripts/lock.py [NAME ...]        all of them, or some

Run it with the oldest supported Python (3.11), so that every pin exists for that version too.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def lock(wanted: Path) -> None:
    """Resolve, freeze and write one file."""
    with tempfile.TemporaryDirectory(prefix="isoloss-lock-") as name:
        venv.create(name, with_pip=True)
        pip = [Path(name) / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "-r", wanted], check=True)
        pins = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    header = f"# Written by `make lock` from {wanted.name}, with Python 3.11. Do not edit by hand.\n"
    wanted.with_suffix(".txt").write_text(header + pins.stdout, encoding="utf-8")


def main(names: list[str]) -> None:
    """Lock what is named, or everything."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("lock with Python 3.11, the oldest supported: python3.11 scripts/lock.py")
    for wanted in [REQUIREMENTS / f"{name}.in" for name in names] or sorted(REQUIREMENTS.glob("*.in")):
        lock(wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
