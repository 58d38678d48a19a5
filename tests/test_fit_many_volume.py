"""Volume: panels of every form, the census of starts, streams of chunks, and errors that name arrays and shapes."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.basins import optima_by_row
from isoloss.engine.status import Status
from isoloss.errors import DataError, OptionError

LAW = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
N = np.geomspace(1e7, 1e10, 12)
START = [1.5, 200.0, 0.3]


def curves(lengths, seed=0):
    """A list of (x, y), each with its own points and truth."""
    rng = np.random.default_rng(seed)
    made = []
    for length in lengths:
        x = np.exp(rng.uniform(16, 23, length))
        truth = LAW(N=x, E=rng.uniform(1.5, 2), A=rng.uniform(300, 500), alpha=rng.uniform(0.3, 0.4))
        made.append((x, truth * np.exp(0.003 * rng.standard_normal(length))))
    return made


LENGTHS = [9, 14, 30, 7, 22]
CURVES = curves(LENGTHS)
FLAT = {"N": np.concatenate([x for x, _ in CURVES])}
LOSSES = np.concatenate([y for _, y in CURVES])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])


def same(a, b):
    assert np.array_equal(a.params, b.params)
    assert np.array_equal(a.value, b.value)
    assert np.array_equal(a.status, b.status)


def test_a_panel_is_its_curves_fitted_one_by_one():
    table = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, starts=START)
    for b, (x, y) in enumerate(CURVES):
        alone = iso.fit_many(LAW, {"N": x}, y, starts=START)
        # Not to the bit: the engine centres its coordinates on the mean of all rows that it is given.
        assert table.value[b] == pytest.approx(alone.value[0], rel=1e-9)
        assert table.params[b] == pytest.approx(alone.params[0], rel=1e-5)


def test_lists_offsets_and_groups_are_the_same_panel():
    by_offsets = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS)
    same(iso.fit_many(LAW, {"N": [x for x, _ in CURVES]}, [y for _, y in CURVES]), by_offsets)
    labels = np.repeat(["b", "d", "e", "g", "k"], LENGTHS)
    grouped = iso.fit_many(LAW, FLAT, LOSSES, groups=labels)
    same(grouped, by_offsets)
    assert grouped.labels.tolist() == ["b", "d", "e", "g", "k"]
    assert next(iter(grouped.to_frame("dict"))) == "group"


def test_groups_need_not_be_together():
    shuffled = np.random.default_rng(1).permutation(len(LOSSES))
    shuffled = shuffled[np.argsort(np.repeat(range(5), LENGTHS)[shuffled] % 2, kind="stable")]
    labels = np.repeat([3.0, 1.0, 2.0, 0.0, 4.0], LENGTHS)
    columns = {"N": FLAT["N"][shuffled], "curve": labels[shuffled]}
    weights = np.ones(len(LOSSES))
    table = iso.fit_many(LAW, columns, LOSSES[shuffled], groups="curve", weights=weights, starts=START)
    whole = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, starts=START)
    assert table.labels.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert table.params == pytest.approx(whole.params[[3, 1, 2, 0, 4]], rel=1e-4)
    assert table.value == pytest.approx(whole.value[[3, 1, 2, 0, 4]], rel=1e-9)


def test_weights_of_a_panel_remove_points():
    weights = np.ones(len(LOSSES))
    weights[OFFSETS[2] : OFFSETS[2] + 15] = 0.0
    table = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, weights=weights, starts=START)
    x, y = CURVES[2]
    assert table.value[2] == pytest.approx(iso.fit_many(LAW, {"N": x[15:]}, y[15:], starts=START).value[0], rel=1e-9)


@pytest.mark.parametrize("starts", [None, START])
def test_a_panel_with_too_few_rows_is_a_status(starts):
    offsets = np.insert(OFFSETS, [0, 3, 6], [OFFSETS[0], OFFSETS[3], OFFSETS[-1]])
    table = iso.fit_many(LAW, FLAT, LOSSES, offsets=offsets, starts=starts)
    empty = [0, 4, 7]
    assert [Status(int(table.status[b])).name for b in empty] == ["TOO_FEW_ROWS"] * 3
    full = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, starts=starts)
    assert np.delete(table.value, empty) == pytest.approx(full.value, rel=1e-9)


# Two valleys, near a = -1 and a = +1, of unequal depth.
VALLEYS = iso.law("(a**2 - 1)**2 + 0.1 * a + 0 * x", vars=["x"])


def test_the_census_of_starts_in_every_row():
    x = np.zeros(4)
    starts = np.array([[[-1.2], [1.2], [1.1], [0.9]], [[-1.0], [-1.1], [-0.9], [-1.2]]])
    table = iso.fit_many(VALLEYS, {"x": x}, np.full(4, -1.0), starts=starts, objective="squared_raw")
    assert table.optima.tolist() == [2, 1]
    assert table.share.tolist() == [0.25, 1.0]
    assert table["a"] == pytest.approx(-1.0124, abs=1e-3)
    other = iso.fit_many(VALLEYS, {"x": x}, np.full(4, -1.0), starts=[1.1], objective="squared_raw")
    assert table.gap[0] == pytest.approx(other.value[0] / table.value[0] - 1.0)
    assert np.isnan(table.gap[1])


@pytest.mark.parametrize("delta", [None, 0.3, "auto"])
@pytest.mark.parametrize("panel", [False, True])
def test_optima_are_counted_as_the_single_fit_counts_them(panel, delta):
    x = np.linspace(0.0, 1.0, 6)
    targets = np.array([[-1.0, -1.1, -1.0, -0.9, -1.05, -1.0], [-0.9, -0.95, -1.2, -1.0, -1.0, -1.1]])
    starts = [[-1.2], [1.2], [1.1], [0.9], [-0.8]]
    options = {"objective": "squared_raw"} if delta is None else {"objective": "huber_raw", "delta": delta}
    data = ({"x": np.tile(x, 2)}, targets.ravel()) if panel else ({"x": x}, targets)
    offsets = [0, 6, 12] if panel else None
    given = np.broadcast_to(starts, (2, 5, 1))
    table = iso.fit_many(VALLEYS, *data, offsets=offsets, starts=given, **options)
    for b, y in enumerate(targets):
        fit = iso.fit(VALLEYS, {"x": x, "loss": y}, starts=starts, **options)
        assert table.optima[b] == fit.basins.distinct == 2
        assert table.share[b] == fit.basins.share == 0.4
        assert table.gap[b] == fit.basins.gap
        assert table["a"][b] == fit.params["a"]
        if delta == "auto":
            assert table.delta[b] == fit.objective.delta


def test_rows_of_scores_are_sorted_into_optima():
    score = np.array([[1.0, 1.0 + 5e-7, np.inf, 3.0, 2.0, 1.0 + 2e-6], [np.inf] * 6])
    optima, share, gap = optima_by_row(score, np.zeros(2))
    assert optima.tolist() == [4, 0]
    assert share.tolist() == [2 / 6, 0.0]
    assert gap[0] == pytest.approx(2e-6)
    assert np.isnan(gap[1])


def test_a_box_of_starts_serves_every_row():
    from isoloss.starts import halton

    box = halton(6, {"E": (1.0, 2.0), "A": (100.0, 900.0), "alpha": (0.1, 0.6)})
    table = iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, starts=box)
    assert table.starts == 6
    assert table.value == pytest.approx(iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS).value, rel=1e-7)


# Streams ------------------------------------------------------------------------------------------------------


def noisy(first, last):
    noise = np.random.default_rng(first).standard_normal((last - first, 12))
    return {"variables": {"N": N}, "targets": LAW(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(0.005 * noise)}


def test_chunks_are_the_rows_of_one_call():
    targets = np.concatenate([noisy(0, 100)["targets"], noisy(100, 200)["targets"], noisy(200, 230)["targets"]])
    whole = iso.fit_many(LAW, {"N": N}, targets, starts=START)
    made = list(iso.fit_many_chunks(LAW, noisy, size=230, chunk_size=100, starts=START))
    assert [len(table) for table in made] == [100, 100, 30]
    assert np.array_equal(np.concatenate([table.params for table in made]), whole.params)
    cut = ({"variables": {"N": N}, "targets": targets[k : k + 50]} for k in range(0, 230, 50))
    again = list(iso.fit_many_chunks(LAW, cut, starts=START))
    assert [len(table) for table in again] == [50, 50, 50, 50, 30]
    assert np.array_equal(np.concatenate([table.value for table in again]), whole.value)


def test_a_chunk_is_made_when_its_turn_comes_and_progress_counts_problems():
    asked, seen = [], []

    def make(first, last):
        asked.append((first, last))
        return noisy(first, last) | {"starts": np.tile(START, (last - first, 3, 1))}

    tables = iso.fit_many_chunks(LAW, make, size=1000, chunk_size=400, progress=lambda *at: seen.append(at))
    assert asked == []
    assert next(tables).starts == 3
    assert asked == [(0, 400)]
    assert len(next(tables)) == 400
    assert len(list(tables)) == 1
    assert asked == [(0, 400), (400, 800), (800, 1000)]
    assert seen[-1] == (1000, 1000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_stream_of_panels_keeps_labels():
    labels = np.repeat(list("bdegk"), LENGTHS)
    chunks = [{"variables": FLAT, "targets": LOSSES, "groups": labels}] * 2
    for table in iso.fit_many_chunks(LAW, chunks, starts=START):
        assert table.labels.tolist() == list("bdegk")


# Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "targets", "options", "words"),
    [
        ({"N": N}, np.ones(11), {}, ["variables['N'] (12,)", "targets (11,)"]),
        ({"N": np.ones((3, 12))}, np.ones((4, 12)), {}, ["variables['N'] (3, 12)", "targets (4, 12)"]),
        ({"N": N}, np.ones(12), {"weights": np.ones((2, 11))}, ["weights (2, 11)", "points"]),
        ({"N": np.ones((2, 2, 12))}, np.ones(12), {}, ["variables['N']", "(2, 2, 12)"]),
        ({"N": [N, N[:5]]}, np.ones(17), {}, ["targets", "(17,)", "list"]),
        ({"N": [N, N[:5]]}, [N, N[:6]], {}, ["variables['N'][1]", "(5,)", "(6,)"]),
        ({"N": [N, N[:5], N]}, [N, N[:6]], {}, ["variables['N'] holds 3", "targets holds 2"]),
        ({"N": N}, np.ones(12), {"offsets": [0, 5, 11]}, ["offsets", "11", "12 rows"]),
        ({"N": N}, np.ones(12), {"offsets": [0, 8, 5, 12]}, ["offsets[2] = 5", "offsets[1] = 8"]),
        ({"N": N}, np.ones(12), {"offsets": [0.0, 12.0]}, ["offsets", "float64"]),
        ({"N": np.ones((2, 12))}, np.ones(12), {"offsets": [0, 12]}, ["variables['N']", "(2, 12)", "offsets"]),
        ({"N": N}, np.ones(12), {"groups": np.zeros(11)}, ["groups", "(11,)", "(12,)"]),
        ({"N": N}, np.ones(12), {"groups": "curv"}, ["groups='curv'"]),
        ({"N": N}, np.ones(12), {"groups": np.array([1, "a", None] * 4, dtype=object)}, ["groups", "sorted"]),
        ({"N": N}, np.ones(12), {"weights": np.full(12, -1.0)}, ["weights[0] is -1.0"]),
        ([N], np.ones(12), {}, ["variables is a list"]),
    ],
)
def test_arrays_that_do_not_fit_are_named_with_their_shapes(variables, targets, options, words):
    with pytest.raises(DataError) as caught:
        iso.fit_many(LAW, variables, targets, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("chunks", "options", "words"),
    [
        (noisy, {}, "size"),
        (noisy, {"size": 0}, "size=0"),
        (noisy, {"size": 5, "chunk_size": 2.5}, "chunk_size=2.5"),
        ({"variables": {}}, {}, "chunks is a dict"),
        (3, {}, "chunks is a int"),
        (noisy, {"size": 5, "n_threads": 0}, "n_threads=0"),
        (noisy, {"size": 5, "on_interrupt": "stop"}, "on_interrupt='stop'"),
    ],
)
def test_wrong_options_of_a_stream_are_refused_at_once(chunks, options, words):
    with pytest.raises(OptionError, match=words):
        iso.fit_many_chunks(LAW, chunks, **options)


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        ([1.0], "chunk 1 is a list"),
        ({"variables": {"N": N}}, "chunk 1 has no targets"),
        ({"variables": {"N": N}, "target": N, "targets": N}, "chunk 1 holds 'target'"),
    ],
)
def test_a_chunk_that_is_wrong_is_named(chunk, words):
    tables = iso.fit_many_chunks(LAW, [noisy(0, 2), chunk], starts=START)
    assert len(next(tables)) == 2
    with pytest.raises((DataError, OptionError), match=words):
        next(tables)


def test_offsets_groups_and_lists_exclude_each_other():
    with pytest.raises(OptionError, match="offsets or groups"):
        iso.fit_many(LAW, FLAT, LOSSES, offsets=OFFSETS, groups=np.zeros(len(LOSSES)))
    with pytest.raises(OptionError, match="offsets is given"):
        iso.fit_many(LAW, {"N": [x for x, _ in CURVES]}, [y for _, y in CURVES], offsets=OFFSETS)
