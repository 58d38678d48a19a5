"""Data sets are fetched from a server on this machine that holds the authors' files as they wrote them."""

import csv
import functools
import http.server
import threading

import numpy as np
import pytest

import isoloss as iso
from isoloss.datasets import DATASETS, digest

# Which of our tidy columns is which of upstream's.
UPSTREAM = {
    "chinchilla": ("chinchilla_epoch.csv", {"Model Size": "params", "Training FLOP": "flops", "loss": "loss"}),
    "steplaw_dense": (
        "steplaw_dense.csv",
        {
            "lr": "lr",
            "bs": "batch_size_sequences",
            "loss": "loss_raw",
            "smooth loss": "loss_smooth",
            "D": "tokens",
            "N": "params_non_embedding",
        },
    ),
    "steplaw_moe": (
        "steplaw_moe.csv",
        {
            "lr": "lr",
            "bs": "batch_size_sequences",
            "loss": "loss_raw",
            "smooth loss": "loss_smooth",
            "D": "tokens",
            "N": "params_total_non_embedding",
        },
    ),
}


def rewrite(source, target, columns):
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(newline="") as old, target.open("w", newline="") as new:
        rows = csv.DictReader(old)
        out = csv.writer(new)
        out.writerow(columns)
        out.writerows([row[column] for column in columns.values()] for row in rows)


@pytest.fixture
def server(data_dir, tmp_path, monkeypatch):
    root = tmp_path / "upstream"
    for name, (file, columns) in UPSTREAM.items():
        made = DATASETS[name]
        rewrite(data_dir / file, root / made.repository / made.commit / made.path, columns)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=root))
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    monkeypatch.setenv("ISOLOSS_DATASETS_URL", f"http://127.0.0.1:{served.server_address[1]}/")
    monkeypatch.setenv("ISOLOSS_CACHE", str(tmp_path / "cache"))
    yield root, asked
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.mark.parametrize("name", iso.datasets.names())
def test_every_data_set_loads_with_its_units_and_is_fetched_once(server, name):
    _, asked = server
    runs = iso.datasets.load(name)
    assert runs.n == DATASETS[name].rows
    assert {"N", "D", "C", "loss"} <= set(runs.names)
    assert iso.datasets.load(name).source.sha256 == runs.source.sha256
    assert len(asked) == 1
    if name != "chinchilla":
        assert runs["batch"].min() >= 2048.0
    assert runs.n_counts == ("total" if name == "chinchilla" else "non-embedding")


def test_the_usual_fit_of_the_chinchilla_runs(server):
    runs = iso.datasets.load("chinchilla")
    fit = iso.fit("chinchilla", runs.where(runs["loss"] < np.sort(runs["loss"])[-5]), objective=iso.Huber(1e-3))
    assert fit.n == 240
    assert fit.params["alpha"] == pytest.approx(0.347310, rel=1e-4)


def test_other_numbers_are_refused_and_not_kept(server):
    root, _ = server
    made = DATASETS["chinchilla"]
    path = root / made.repository / made.commit / made.path
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*text[:-1], "1e9,1e21,2.5\n"]))
    with pytest.raises(iso.DataError, match="SHA-256") as caught:
        iso.datasets.load("chinchilla")
    assert caught.value.code == "dataset-checksum"
    assert not list(iso.datasets.cache_dir().rglob("*.csv"))
    path.write_text("".join(text))
    assert iso.datasets.load("chinchilla").n == 245


def test_a_file_without_the_columns_is_refused(server):
    root, _ = server
    made = DATASETS["chinchilla"]
    (root / made.repository / made.commit / made.path).write_text("a,b\n1,2\n")
    with pytest.raises(iso.DataError, match="Model Size") as caught:
        iso.datasets.load("chinchilla")
    assert caught.value.code == "dataset-checksum"


def test_an_absent_server_is_told_by_address(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOLOSS_DATASETS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ISOLOSS_CACHE", str(tmp_path))
    with pytest.raises(iso.DataError, match="epoch-research/analyzing-chinchilla") as caught:
        iso.datasets.fetch("chinchilla")
    assert caught.value.code == "dataset-unreachable"


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(iso.DataError, match="chinchilla") as caught:
        iso.datasets.describe("chinchila")
    assert caught.value.code == "dataset-unknown"


def test_cards_name_the_source_and_the_licence():
    for name in iso.datasets.names():
        card = str(iso.datasets.describe(name))
        assert DATASETS[name].repository in card
        assert "licence" in card


def test_the_digest_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((50, 3))
    shuffled = table[rng.permutation(50)]
    assert digest(list(table.T)) == digest(list(shuffled.T))
    assert digest(list(table.T)) != digest(list((table + 1e-12).T))
