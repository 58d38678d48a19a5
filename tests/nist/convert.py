"""Turn NIST's own files of the StRD nonlinear regression problems into the compact files beside this one.

``python tests/nist/convert.py FOLDER`` reads ``FOLDER/*.dat`` as NIST publishes them and writes one ``.csv`` each.
Every number is copied as NIST prints it, so that nothing is lost or gained on the way; `README.md` has the format.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent


def convert(text: str) -> str:
    """The compact form of one NIST file."""
    lines = text.splitlines()
    level = re.search(r"(Lower|Average|Higher) Level of Difficulty", text)
    kind = re.search(r"^\s*(Observed|Generated) Data", text, re.MULTILINE)
    rss = re.search(r"Residual Sum of Squares:\s*(\S+)", text)
    count = re.search(r"Number of Observations:\s*(\d+)", text)
    assert level
    assert kind
    assert rss
    assert count
    first = next(i for i, line in enumerate(lines) if line.startswith("Model:"))
    last = next(i for i, line in enumerate(lines) if "tarting" in line and i > first)
    model = " ".join(line.strip() for line in lines[first + 2 : last] if line.strip() and "arameters" not in line)
    parameters = [line.replace("=", " ").split() for line in lines if re.match(r"\s*b\d\s*=(\s+\S+){4}\s*$", line)]
    header = max(i for i, line in enumerate(lines) if line.startswith("Data:"))
    names = lines[header].split()[1:]
    rows = [line.split() for line in lines[header + 1 :] if line.strip()]
    assert len(rows) == int(count[1])
    assert {len(row) for row in rows} == {len(names)}
    assert [name for name, *_ in parameters] == [f"b{j + 1}" for j in range(len(parameters))]
    return "\n".join(
        [
            f"# model: {' '.join(model.split())}",
            f"# level: {level[1].lower()}",
            f"# data: {kind[1].lower()}",
            f"# rss: {rss[1]}",
            "# parameter,start1,start2,certified,deviation",
            *(f"# {','.join(parameter)}" for parameter in parameters),
            ",".join(names),
            *(",".join(row) for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    for source in sorted(Path(sys.argv[1]).glob("*.dat")):
        text = source.read_text(encoding="ascii")
        (HERE / f"{source.stem.lower()}.csv").write_text(convert(text), encoding="ascii")
