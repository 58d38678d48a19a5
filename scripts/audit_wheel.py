"""Look into wheels: the stable interface, the oldest Linux they run on, and the bill of materials.

* abi3audit: every symbol of CPython that the compiled core asks for is one of the stable interface of Python 3.11.
* auditwheel (on Linux): the shared libraries and symbol versions that the core asks for are of the platform it claims,
  at most glibc 2.17 (manylinux2014) where the wheel was built for that. A wheel of this machine is only shown.
* The wheel carries a CycloneDX bill of materials in ``.dist-info/sboms`` (PEP 770) that names every crate of
  Cargo.lock which the core is built from, with its version, and both licences.

    python scripts/audit_wheel.py dist/*.whl
"""

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sysconfig.get_paths()["scripts"])


def shipped_crates() -> set[tuple[str, str]]:
    """(name, version) of the crates that are compiled into the core or run when it is compiled, by cargo."""
    tree = subprocess.run(
        ["cargo", "tree", "-p", "isoloss-py", "--edges", "normal,build", "--locked", "--prefix", "none"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(re.findall(r"^(\S+) v(\S+)", tree.stdout, re.MULTILINE))


def bill_of_materials(wheel: zipfile.ZipFile) -> set[tuple[str, str]]:
    """(name, version) of every component that the wheel says it is made of."""
    bills = [name for name in wheel.namelist() if ".dist-info/sboms/" in name and name.endswith(".json")]
    assert bills, "no bill of materials in .dist-info/sboms"
    found: set[tuple[str, str]] = set()
    for name in bills:
        bill = json.loads(wheel.read(name))
        assert bill["bomFormat"] == "CycloneDX", name
        for part in [bill["metadata"]["component"], *bill["components"]]:
            found.add((part["name"], part["version"]))
    return found


def main(wheels: list[Path]) -> None:
    """Audit each; the first fault ends the program."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            named = bill_of_materials(wheel)
            missing = shipped_crates() - named
            assert not missing, f"{path.name}: the bill of materials leaves out {sorted(missing)}"
            assert ("isoloss-core", version) in named
            licences = [name for name in wheel.namelist() if "/licenses/LICENSE-" in name]
            assert len(licences) == 2, licences
        sys.stdout.write(f"{path.name}: {len(named)} components named\n")
        sys.stdout.flush()
        subprocess.run([SCRIPTS / "abi3audit", "--strict", "--report", path], check=True)
        if sys.platform == "linux":
            subprocess.run([SCRIPTS / "auditwheel", "show", path], check=True)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
