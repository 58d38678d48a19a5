"""The certified problems of NIST StRD (nonlinear regression): all 27, from both of NIST's starting points.

Each fit starts from the given point alone, with no parameter bounded or taken as positive, on squared residuals.
cos, sin and arctan are no operators of the language; the two problems that need them write them with those that are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import isoloss as iso

FOLDER = Path(__file__).parent / "nist"


def cosine(angle: str) -> str:
    """cos(angle) up to an angle of 50: its series at a sixteenth of the angle, then cos 2t = 2 cos(t)**2 - 1."""
    text = "1"
    for k in range(14, 0, -1):
        text = f"1 - (({angle})/16)**2/{2 * k * (2 * k - 1)}*({text})"
    for _ in range(4):
        text = f"2*({text})**2 - 1"
    return f"({text})"


def sine(angle: str) -> str:
    return cosine(f"{angle} - {math.pi / 2!r}")


def arctangent(ratio: str) -> str:
    """arctan(ratio): its series after three halvings, arctan z = 2 arctan(z / (1 + sqrt(1 + z**2)))."""
    for _ in range(3):
        ratio = f"({ratio})/(1 + sqrt(1 + ({ratio})**2))"
    text = f"1/{31}"
    for k in range(14, -1, -1):
        text = f"1/{2 * k + 1} - ({ratio})**2*({text})"
    return f"8*{ratio}*({text})"


CHWIRUT = "exp(-b1*x) / (b2 + b3*x)"
CUBIC = "(b1 + b2*x + b3*x**2 + b4*x**3) / (1 + b5*x + b6*x**2 + b7*x**3)"
GAUSS = "b1*exp(-b2*x) + b3*exp(-(x - b4)**2/b5**2) + b6*exp(-(x - b7)**2/b8**2)"
LANCZOS = "b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)"
TURN = repr(2.0 * math.pi)

LAWS = {
    "bennett5": "b1*(b2 + x)**(-1/b3)",
    "boxbod": "b1*(1 - exp(-b2*x))",
    "chwirut1": CHWIRUT,
    "chwirut2": CHWIRUT,
    "danwood": "b1*x**b2",
    "eckerle4": "b1/b2*exp(-0.5*((x - b3)/b2)**2)",
    "enso": (
        f"b1 + b2*{cosine(f'{TURN}*x/12')} + b3*{sine(f'{TURN}*x/12')}"
        f" + b5*{cosine(f'{TURN}*x/b4')} + b6*{sine(f'{TURN}*x/b4')}"
        f" + b8*{cosine(f'{TURN}*x/b7')} + b9*{sine(f'{TURN}*x/b7')}"
    ),
    "gauss1": GAUSS,
    "gauss2": GAUSS,
    "gauss3": GAUSS,
    "hahn1": CUBIC,
    "kirby2": "(b1 + b2*x + b3*x**2) / (1 + b4*x + b5*x**2)",
    "lanczos1": LANCZOS,
    "lanczos2": LANCZOS,
    "lanczos3": LANCZOS,
    "mgh09": "b1*(x**2 + x*b2) / (x**2 + x*b3 + b4)",
    "mgh10": "b1*exp(b2/(x + b3))",
    "mgh17": "b1 + b2*exp(-x*b4) + b3*exp(-x*b5)",
    "misra1a": "b1*(1 - exp(-b2*x))",
    "misra1b": "b1*(1 - (1 + b2*x/2)**(-2))",
    "misra1c": "b1*(1 - (1 + 2*b2*x)**(-0.5))",
    "misra1d": "b1*b2*x/(1 + b2*x)",
    "nelson": "b1 - b2*x1*exp(-b3*x2)",
    "rat42": "b1/(1 + exp(b2 - b3*x))",
    "rat43": "b1/(1 + exp(b2 - b3*x))**(1/b4)",
    "roszman1": f"b1 - b2*x - {arctangent('b3/(x - b4)')}/{math.pi!r}",
    "thurber": CUBIC,
}


@dataclass(frozen=True)
class Certified:
    """One problem as its file states it; parameters in NIST's order."""

    level: str
    rss: float
    names: list[str]
    starts: np.ndarray  # (2, p)
    values: np.ndarray  # (p,)
    columns: dict[str, np.ndarray]


def load(name: str) -> Certified:
    lines = (FOLDER / f"{name}.csv").read_text(encoding="ascii").splitlines()
    head = [line[2:] for line in lines if line.startswith("# ")]
    fields = dict(line.split(": ", 1) for line in head if ": " in line)
    parameters = [line.split(",") for line in head if line.startswith("b") and line[1].isdigit()]
    numbers = np.array([row[1:] for row in parameters], dtype=np.float64)
    body = lines[len(head) :]
    table = np.array([row.split(",") for row in body[1:]], dtype=np.float64)
    return Certified(
        level=fields["level"],
        rss=float(fields["rss"]),
        names=[row[0] for row in parameters],
        starts=numbers[:, :2].T,
        values=numbers[:, 2],
        columns=dict(zip(body[0].split(","), table.T, strict=True)),
    )


def digits(found: np.ndarray | float, certified: np.ndarray | float) -> float:
    """Least number of significant digits that agree (NIST's log relative error)."""
    with np.errstate(divide="ignore"):
        return float(np.min(-np.log10(np.abs(np.asarray(found) - certified) / np.abs(certified))))


def fitted(name: str, start: int) -> tuple[Certified, iso.Fit]:
    problem = load(name)
    columns = dict(problem.columns)
    response = columns.pop("y")
    law = iso.law(LAWS[name], vars=list(columns))
    order = [problem.names.index(parameter) for parameter in law.parameters]
    fit = iso.fit(
        law,
        {**columns, "loss": np.log(response) if name == "nelson" else response},
        objective=iso.SquaredError(space="raw"),
        starts=problem.starts[start - 1][order],
    )
    return problem, fit


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", LAWS)
def test_certified_digits(name: str, start: int) -> None:
    problem, fit = fitted(name, start)
    assert fit.success
    agree = digits(np.array([fit.params[parameter] for parameter in problem.names]), problem.values)
    assert agree >= (9.0 if problem.level == "lower" else 6.0), f"{agree:.1f} digits"
    if name == "lanczos1":
        # Its residuals are the rounding of data to 14 digits: double precision cannot square what is left of them.
        assert fit.value < 2.0 * problem.rss
    else:
        agree = digits(fit.value, problem.rss)
        assert agree >= 9.0, f"{agree:.1f} digits of the residual sum of squares"


def test_every_problem_has_its_data() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.csv")) == sorted(LAWS)
    levels = [load(name).level for name in LAWS]
    assert [levels.count(level) for level in ("lower", "average", "higher")] == [8, 11, 8]


@pytest.mark.parametrize("name", LAWS)
def test_certified_values_minimise_the_law_as_written(name: str) -> None:
    """Guards the texts of the laws, apart from any solver: at the certified values they give the certified sum."""
    problem = load(name)
    columns = dict(problem.columns)
    response = columns.pop("y")
    law = iso.law(LAWS[name], vars=list(columns))
    predicted = law.bind(dict(zip(problem.names, problem.values.tolist(), strict=True)))(**columns)
    rss = np.sum((predicted - (np.log(response) if name == "nelson" else response)) ** 2)
    # Certified parameters have 11 digits, which is coarse for data that the law fits to 6 digits or more.
    assert rss == pytest.approx(problem.rss, rel=1e-6, abs=1e-19 * np.sum(response**2))


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.5, -3.0, 40.0])
def test_cosine_and_sine_by_series(angle: float) -> None:
    assert iso.law(f"a*{cosine('x')}", vars=["x"])(a=1.0, x=angle) == pytest.approx(math.cos(angle), abs=1e-13)
    assert iso.law(f"a*{sine('x')}", vars=["x"])(a=1.0, x=angle) == pytest.approx(math.sin(angle), abs=1e-13)


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.5, -3.0, 1e6])
def test_arctangent_by_series(ratio: float) -> None:
    assert iso.law(f"a*({arctangent('x')})", vars=["x"])(a=1.0, x=ratio) == pytest.approx(math.atan(ratio), abs=1e-15)
