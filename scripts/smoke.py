"""A short trial of an installed isoloss: the main job with nothing but the hard dependencies.

Run by `try_wheel.py` inside a throw-away environment; it must find the package there, not in a tree,
and neither Rust nor the extras.

    python scripts/smoke.py
"""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

import isoloss as iso

N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 6)))
TRUE = iso.laws.get("chinchilla").published["besiroglu2024"].params


def main() -> None:
    """Fit exact data of a published law and get its coefficients back, in Python and on the command line."""
    site = Path(sysconfig.get_paths()["platlib"]).resolve()
    assert Path(iso.__file__).resolve().is_relative_to(site), iso.__file__
    assert shutil.which("cargo") is None, "Rust is on PATH"
    for extra in ("rich", "cyclopts", "matplotlib", "scipy", "pandas"):
        assert importlib.util.find_spec(extra) is None, f"{extra} is installed: this trial shows less"

    iso.show_config()
    loss = TRUE["E"] + TRUE["A"] / N ** TRUE["alpha"] + TRUE["B"] / D ** TRUE["beta"]
    fit = iso.fit("chinchilla", iso.read({"N": N, "D": D, "loss": loss}), seed=0)
    assert fit.success, fit.status
    for name, value in TRUE.items():
        assert abs(fit.params[name] / value - 1) < 1e-4, (name, fit.params[name], value)
    draws = fit.bootstrap(50, seed=0)
    assert draws.params.shape == (50, len(TRUE))
    with tempfile.TemporaryDirectory() as name:
        fit.save(Path(name) / "fit.json")
        assert iso.load(Path(name) / "fit.json").params == fit.params

    # Without the extra, the command line says how to get it instead of showing a traceback.
    asked = subprocess.run([sys.executable, "-m", "isoloss", "laws"], capture_output=True, text=True, check=False)
    assert asked.returncode != 0
    assert "isoloss[cli]" in asked.stderr, asked.stderr
    assert "Traceback" not in asked.stderr, asked.stderr
    python, label = ".".join(map(str, sys.version_info[:3])), " ".join(sys.argv[1:])
    with_numpy = f"NumPy {np.__version__} {label and f'({label})'}".strip()
    sys.stdout.write(f"the installed isoloss {iso.__version__} works with Python {python} and {with_numpy}\n")


if __name__ == "__main__":
    main()
