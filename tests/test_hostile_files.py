"""Saved results of every kind: files that are damaged, altered, hostile, of later versions, and of earlier ones."""

import copy
import json
import os
import runpy
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from refusals import coded

import isoloss as iso
from isoloss.errors import DataError
from isoloss.store import from_plain, to_plain
from isoloss.store.files import KINDS

FOLDER = Path(__file__).parent / "saved_results"
MAKE = runpy.run_path(str(FOLDER / "make.py"))
SHARE = 1 if os.environ.get("ISOLOSS_BIG") else 16
"""Every run of the tests takes one in so many pairs of a place and a value; `ISOLOSS_BIG=1` all."""


@pytest.fixture(scope="module")
def saved():
    """A result of each kind as plain data, as a file holds it."""
    return {schema: json.loads(json.dumps(to_plain(made, schema))) for schema, made in MAKE["results"]().items()}


# Anything in any place ------------------------------------------------------------------------------------------------


def parts(data, before=()):
    """Every place in nested data; of long lists the first two entries."""
    items = data.items() if isinstance(data, dict) else enumerate(data[:2]) if isinstance(data, list) else ()
    for key, value in items:
        yield (*before, key)
        yield from parts(value, (*before, key))


ODD = [None, True, -1, 0, 1e308, 5e-324, "x", "nan", "inf", [], {}, [[]], [1, 2, 3], {"a": 1}, 10**400, "\ud800", ...]
USES = {
    "isoloss.fit": lambda made: (made.summary(), made.predict(N=1e9, D=1e10), repr(made.draws), str(made.checklist())),
    "isoloss.search": lambda made: (str(made), repr(made), made.to_dict()),
    "isoloss.hparams": lambda made: (made.summary(), made.predict(N=1e9, D=1e11), made.to_dict()),
    "isoloss.design": lambda made: (str(made), made.table, made.to_dict()),
    "isoloss.recipes": lambda made: (
        str(made),
        made.to_dict(),
        *(str(found) for found in (made.difference(1e21), made.crossover(), made.compute_multiplier(1e22))),
    ),
}
"""What one does with a result that was read; a failure shows the place and the value that it is called with."""


MAY_BE = {("isoloss.hparams", "not-identified"), ("isoloss.design", "missing-extra")}


@pytest.mark.parametrize("schema", KINDS)
def test_a_saved_result_with_anything_in_any_place_is_refused_or_works(schema, saved):
    """`...` takes the place out."""
    said = Counter()
    # Every run of the tests tries some values in each place; over runs all are tried.
    first = np.random.default_rng().integers(SHARE)
    pairs = [(place, value) for place in parts(saved[schema]) for value in ODD]
    for place, value in pairs[first::SHARE]:
        data = copy.deepcopy(saved[schema])
        inside = data
        for key in place[:-1]:
            inside = inside[key]
        if value is ...:
            del inside[place[-1]]
        else:
            inside[place[-1]] = value
        code, made = coded(lambda data=data: from_plain(data))
        assert code in ("", "file-schema"), (place, value)
        said[code] += 1
        if not code:
            used, _ = coded(lambda made=made: USES[schema](made))
            # A sweep may be made of one size by its tolerance; tables may be due in a library that is none.
            assert used == "" or (schema, used) in MAY_BE, (place, value)
    assert said["file-schema"] > 10
    assert said[""] > 10


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema": "isoloss.fit", "version": 1, "x": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"schema": "isoloss.fit", "version": 1, "x": NaN}',
        '{"schema": "isoloss.fit", "version": 1, "sha256": "x", "x": 1e999}',
        '{"schema": "isoloss.fit", "version": ' + "9" * 5000 + "}",
        '{"schema": "isoloss.fit", "version": true}',
        '{"schema": ["isoloss.fit"], "version": 1}',
        '{"schema": "\\ud800"}',
        "null",
        "",
        "\0" * 100,
        '{"schema": "isoloss.fit", "version": 1, "sha256": "' + "0" * 10_000_000,
    ],
    ids=lambda text: text[:40],
)
def test_hostile_json_is_refused_at_once(text, tmp_path):
    (tmp_path / "fit.json").write_text(text)
    begun = time.perf_counter()
    with pytest.raises(DataError) as caught:
        iso.load(tmp_path / "fit.json")
    assert caught.value.code == "file-schema"
    assert len(str(caught.value)) < 600
    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize("schema", KINDS)
def test_truncated_and_altered_files_of_every_kind_are_refused(schema, saved, tmp_path):
    path = tmp_path / "result.json"
    from_plain(saved[schema]).save(path)
    text = path.read_text()
    for length in np.linspace(0, len(text) - 3, 25).astype(int):
        path.write_text(text[:length])
        with pytest.raises(DataError, match="truncated") as caught:
            iso.load(path)
        assert caught.value.code == "file-schema"
    data = json.loads(text)
    name, part = next((name, part) for name, part in data.items() if isinstance(part, dict))
    data[name] = {**part, "further": 1}
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="altered"):
        iso.load(path)


def test_pickles_are_not_read(tmp_path):
    (tmp_path / "fit.json").write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError):
        iso.load(tmp_path / "fit.json")


# From version to version ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", KINDS)
def test_a_later_version_is_refused_by_name(schema, saved, tmp_path):
    own = import_module(KINDS[schema][0]).VERSION
    for version in (own + 1, 0, -1, own + 0.5, str(own), None, True):
        (tmp_path / "later.json").write_text(json.dumps({**saved[schema], "version": version}))
        with pytest.raises(DataError) as caught:
            iso.load(tmp_path / "later.json")
        assert caught.value.code == "file-schema"
        wanted = f"has version {version} of the schema; this isoloss reads version {own}"
        assert wanted in str(caught.value)
    data = {name: part for name, part in saved[schema].items() if name != "version"}
    with pytest.raises(DataError, match="has version None of the schema"):
        from_plain(data)


def all_there(stored, again):
    """Whether everything stored came back; fields may have been added since."""
    if isinstance(stored, dict):
        return all(name in again and all_there(part, again[name]) for name, part in stored.items())
    return again == stored


@pytest.mark.parametrize("schema", KINDS)
def test_every_version_that_was_written_is_read(schema):
    """One file for each version of each kind; it is refused if a field that it lacks has no default."""
    own = import_module(KINDS[schema][0]).VERSION
    for version in range(1, own + 1):
        path = FOLDER / MAKE["name_of"](schema, version)
        stored = json.loads(path.read_text())
        assert (stored["schema"], stored["version"]) == (schema, version)
        made = iso.load(path)
        assert USES[schema](made)
        again = json.loads(json.dumps(to_plain(made, schema)))
        if version == own:
            for name in stored.keys() - {"sha256", "made_by"}:
                assert all_there(stored[name], again[name]), name


OPTIONAL = {
    ("made_by",): {},
    ("runs", "source", "options"): None,
    ("runs", "inner"): {},
    ("runs", "labels"): {},
}
"""Fields that version 1 of fits got after its first builds, and what stands for them where they are missing."""


@pytest.mark.parametrize("place", OPTIONAL)
def test_fields_that_came_later_have_defaults(place, saved):
    data = copy.deepcopy(saved["isoloss.fit"])
    inside = data
    for key in place[:-1]:
        inside = inside[key]
    inside.pop(place[-1], None)
    made = from_plain(data)
    at = made
    for key in place:
        at = getattr(at, key)
    assert at == OPTIONAL[place]
    assert made.params == from_plain(saved["isoloss.fit"]).params
