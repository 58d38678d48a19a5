"""Build the source distribution, and from it, unpacked and cut off from every registry, a wheel.

Whoever packages isoloss for a distribution builds without a network. Three things must then be in the archive: all
sources, Cargo.lock, and nothing that names a path outside. The crates are vendored as Cargo.lock pins them
(``cargo vendor --locked``), a Cargo home without a cache and ``CARGO_NET_OFFLINE`` take the registry away, and the
wheel is tried as any other.

    python scripts/try_sdist.py DIST        the archive is left in DIST
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MATURIN = Path(sysconfig.get_paths()["scripts"]) / "maturin"


def main(dist: Path) -> None:
    """Pack, unpack, vendor, build offline, try."""
    for old in dist.glob("*.tar.gz"):
        old.unlink()
    subprocess.run([MATURIN, "sdist", "--out", dist], cwd=ROOT, check=True)
    (archive,) = dist.glob("isoloss-*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="isoloss-sdist-") as name:
        home = Path(name)
        with tarfile.open(archive) as packed:
            packed.extractall(home, filter="data")
        (tree,) = home.iterdir()
        assert (tree / "Cargo.lock").is_file(), "the archive has no Cargo.lock"
        said = subprocess.run(
            ["cargo", "vendor", "--locked", "vendor"], cwd=tree, check=True, capture_output=True, text=True
        )
        (tree / ".cargo").mkdir(exist_ok=True)
        (tree / ".cargo" / "config.toml").write_text(said.stdout, encoding="utf-8")
        # An empty Cargo home: what is not in the archive or vendored is not to be had.
        offline = os.environ | {
            "CARGO_HOME": str(home / "cargo"),
            "CARGO_NET_OFFLINE": "true",
            "CARGO_TARGET_DIR": str(home / "target"),
            # It is the sources that are tried, not their speed.
            "CARGO_PROFILE_RELEASE_LTO": "off",
            "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
        }
        build = [MATURIN, "build", "--release", "--locked", "--offline", "--quiet", "--out", home / "wheel"]
        subprocess.run(build, cwd=tree, env=offline, check=True)
        (wheel,) = (home / "wheel").glob("*.whl")
        subprocess.run([sys.executable, ROOT / "scripts" / "try_wheel.py", wheel], check=True)
    sys.stdout.write(f"{archive.name} builds offline from vendored crates\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
