"""Write requirements/dev.txt: what pip resolves requirements/dev.in to in an empty environment.

    python scripts/lock.py

Run it with the oldest supported Python (3.11), so that every pin exists for that version too.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
HEADER = "# Written by `make lock` from dev.in, with Python 3.11. Do not edit by hand.\n"


def main() -> None:
    """Resolve, freeze and write."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("lock with Python 3.11, the oldest supported: python3.11 scripts/lock.py")
    with tempfile.TemporaryDirectory(prefix="isoloss-lock-") as name:
        venv.create(name, with_pip=True)
        pip = [Path(name) / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        wanted = REQUIREMENTS / "dev.in"
        subprocess.run([*pip, "install", "--quiet", "-r", wanted], check=True)
        pins = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    (REQUIREMENTS / "dev.txt").write_text(HEADER + pins.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
