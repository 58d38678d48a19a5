"""Panel: many short curves, each with its own rows; a power law with an offset, least squares, through `fit_many`."""

import time

import numpy as np
from common import CLOSE, F64, Bar, Report, Spread, Table, main, number, percent, rounds

import isoloss as iso

POINTS = 20
LAW = iso.law("E + A * x**-alpha", vars=["x"], positive=["E", "A"], bounds={"alpha": (0.0, 5.0)})
START = np.array([1.0, 1.0, 0.5])


def curves(count: int, seed: int = 0) -> tuple[F64, F64]:
    """(count, 20) abscissae and losses with 1 % noise; every curve has its own abscissae, scale and shape."""
    rng = np.random.default_rng(seed)
    x = np.geomspace(1.0, 300.0, POINTS) * rng.uniform(0.7, 1.4, (count, POINTS))
    E, A, alpha = rng.uniform(0.5, 3.0, count), rng.uniform(1.0, 5.0, count), rng.uniform(0.3, 1.0, count)
    y = (E[:, None] + A[:, None] * x ** -alpha[:, None]) * np.exp(0.01 * rng.standard_normal(x.shape))
    return x, y


def scipy_fits(x: F64, y: F64) -> tuple[F64, float]:
    """(k, 3) SciPy's fits of the same curves from the same start in the same coordinates, and CPU seconds for each."""
    from scipy import optimize

    def one(x: F64, y: F64) -> F64:
        logs = np.log(x)

        def residual(t: F64) -> F64:
            return np.exp(t[0]) + np.exp(t[1] - t[2] * logs) - y

        def slopes(t: F64) -> F64:
            power = np.exp(t[1] - t[2] * logs)
            return np.stack([np.full_like(logs, np.exp(t[0])), power, -power * logs], axis=1)

        start = np.array([np.log(START[0]), np.log(START[1]), START[2]])
        found = optimize.leastsq(residual, start, Dfun=slopes, ftol=1e-12, xtol=1e-12)[0]
        return np.array([np.exp(found[0]), np.exp(found[1]), found[2]])

    began = time.process_time()
    found = np.array([one(*pair) for pair in zip(x, y, strict=True)])
    return found, (time.process_time() - began) / len(x)


def objective(params: F64, x: F64, y: F64) -> F64:
    return np.sum((params[:, :1] + params[:, 1:2] * x ** -params[:, 2:] - y) ** 2, axis=1)


def run(quick: bool = False) -> Report:
    sizes = (100_000,) if quick else (100_000, 1_000_000)
    rows = []
    bars = []
    for count in sizes:
        x, y = curves(count)

        def fit(x=x, y=y, threads=None):
            return iso.fit_many(LAW, {"x": x}, y, starts=START, objective="squared_raw", n_threads=threads)

        table = fit()
        seconds = rounds({"all": fit, "one": lambda fit=fit: fit(threads=1)}, 3 if quick else 5, time.perf_counter)
        speed = Spread.of([count / s for s in seconds["all"]])
        single = Spread.of([count / s for s in seconds["one"]])
        rows.append((f"{count:,}", speed.show(), single.show(), percent(float(table.success.mean()))))
    bars.append(Bar(f"panel: {count:,} curves of {POINTS} points, power law with offset, all cores",
                    speed.show(" fits/s"), "≥ 500,000 fits/s", speed.median >= 500_000))  # fmt: skip
    notes = []
    try:
        some = slice(0, 200 if quick else 2000)
        theirs, each = scipy_fits(x[some], y[some])
        own, other = objective(table.params[some], x[some], y[some]), objective(theirs, x[some], y[some])
        best = np.minimum(own, other)
        found, rival = (percent(float(np.mean(value <= best * (1.0 + CLOSE)))) for value in (own, other))
        bars.append(Bar(f"… per core, beside SciPy leastsq ({rival} found; isoloss {found})",
                        f"{number(each * single.median)}×"))  # fmt: skip
    except ImportError:
        notes.append("left out: SciPy: not installed")
    head = ("curves", "fits/s, all cores", "fits/s, one core", "converged")
    return Report("Panel of curves", bars, [Table(f"Curves of {POINTS} points, three parameters", head, rows)], notes)


if __name__ == "__main__":
    main(run)
