"""Sweeps for the tests of hyper-parameters: simulated ones with a known truth, and the released Step Law runs."""

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate

SIZES, RATIOS = [1e8, 2e8, 5e8, 1e9], [10, 40, 160]


@pytest.fixture(scope="session")
def simulated():
    return iso.read(simulate.sweep(N=SIZES, tokens_per_parameter=RATIOS, settings=7, step=2**0.5, seed=3))


@pytest.fixture(scope="session")
def fitted(simulated):
    return iso.fit_hparams(simulated, draws=200)


@pytest.fixture(scope="session")
def dense(data_dir):
    """The released dense sweep."""
    return iso.read(
        data_dir / "steplaw_dense.csv",
        N="params_non_embedding",
        D="tokens",
        loss="loss_smooth",
        lr="lr",
        batch="batch_size_sequences",
        batch_unit="sequences",
        seq_len="seq_len",
    )


@pytest.fixture(scope="session")
def step(dense):
    return iso.fit_hparams(dense)


@pytest.fixture(scope="session")
def left_out(step):
    """Every cell of the released sweep predicted from the others alone."""
    return step.holdout("cell")


@pytest.fixture(scope="session")
def exact():
    """A maker of runs on a surface of the very form that is fitted, with excesses within a few per cent."""
    return make


def make(
    a=0.01,
    k=0.8,
    b=0.004,
    ridge=0.4,
    lr=(0.002, -0.6, 0.2),
    batch=(3e5, -0.1, 0.5),
    noise=0.0,
    cells=SIZES,
    seed=5,
    between=(0.0, 0.0),
):
    """Runs that lie on a surface of the very form that is fitted, with excesses within a few per cent."""
    rng = np.random.default_rng(seed)
    columns = {name: [] for name in ("N", "D", "lr", "batch", "loss")}
    for N in cells:
        for D in (20 * N, 60 * N, 200 * N):
            x, y = (m.ravel() for m in np.meshgrid(np.linspace(-1.5, 1.2, 7), np.linspace(-1.6, 1.6, 7)))
            away = np.array(between) * rng.standard_normal(2) if any(between) else np.zeros(2)
            u, v = x - away[0], y - away[1]
            w = u - ridge * v
            excess = a * (np.expm1(k * w) - k * w) / k**2 + b * v**2
            n, d = np.log(N / 3e8), np.log(D / 2e10)
            columns["N"] += [N] * len(x)
            columns["D"] += [D] * len(x)
            columns["lr"] += list(lr[0] * np.exp(lr[1] * n + lr[2] * d + x))
            columns["batch"] += list(batch[0] * np.exp(batch[1] * n + batch[2] * d + y))
            floor = 1.7 + 400 / N**0.34 + 410 / D**0.28
            columns["loss"] += list(floor * np.exp(excess + noise * rng.standard_normal(len(x))))
    return iso.read({name: np.array(values) for name, values in columns.items()})
