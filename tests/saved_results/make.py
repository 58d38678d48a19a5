"""Files that later versions must read: ``python tests/saved_results/make.py`` writes one for each kind of saved result.

A file is named for its schema and the version of its form, and stays as this version wrote it. Run it when a kind is
new or the number of its form rises; files that are there are not written again.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

import isoloss as iso
from isoloss.store import save
from isoloss.store.files import KINDS

FOLDER = Path(__file__).parent


def results():
    """A small result of each kind, by schema."""
    law = iso.laws.get("chinchilla").bind("besiroglu2024")
    C, ratio = (axis.ravel() for axis in np.meshgrid([1e18, 3e18, 1e19, 3e19], [5.0, 10.0, 20.0, 40.0]))
    N = np.round(np.sqrt(C / 6.0 / ratio), -3)
    D = np.round(C / 6.0 / N, -6)
    loss = np.round(law(N=N, D=D) * np.exp(0.003 * np.random.default_rng(0).standard_normal(16)), 4)
    fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective="squared_log", starts=4, seed=0)
    fit = fit.with_draws(fit.bootstrap(8, seed=0, starts=0))
    axes = {"N": iso.geomspace(1e8, 1e10, 5), "D": iso.geomspace(1e9, 1e11, 5)}
    both = {name: np.tile(values, 2) for name, values in (("N", N), ("D", D), ("loss", loss))}
    both["loss"][16:] = np.round(0.99 * both["loss"][16:], 4)
    sweep = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160], seed=1))
    target, grid = iso.Target.allocation(C=1e23), iso.grid(C=[1e19, 1e20], tpp=[5, 20, 80])
    return {
        "isoloss.fit": fit,
        # With the draws that the fit carries.
        "isoloss.search": iso.search(fit, axes, where="6*N*D <= 1e21", by=["N"], within=0.01, refine=True),
        "isoloss.hparams": iso.fit_hparams(sweep, draws=6, threshold=0.02),
        "isoloss.design": iso.next_runs(fit, target, candidates=grid, n=3, draws=8),
        "isoloss.recipes": iso.compare_recipes({**both, "recipe": ["old"] * 16 + ["new"] * 16}, draws=8),
    }


def name_of(schema, version):
    return f"{schema.removeprefix('isoloss.')}-{version}.json"


def main():
    for schema, result in results().items():
        path = FOLDER / name_of(schema, import_module(KINDS[schema][0]).VERSION)
        if not path.exists():
            save(result, schema, path)
            print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
