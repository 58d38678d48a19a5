"""Loss-to-loss and observational laws on published runs."""

import csv

import numpy as np
import pytest

import isoloss as iso


@pytest.fixture(scope="module")
def sweep(data_dir):
    with (data_dir / "loss_to_loss_sweep.csv").open() as file:
        return list(csv.DictReader(file))


def trained_on(sweep, name):
    """Runs on one data set by their place in the design: size, tokens, training loss."""
    return {
        (row["n_layers"], row["d_model"], row["flops_budget"]): tuple(
            float(row[column]) for column in ("params", "tokens", "train_loss_last20")
        )
        for row in sweep
        if row["train_set"] == name
    }


@pytest.mark.parametrize(
    ("first", "second", "off"),
    [("fineweb-100b", "fineweb-edu-100b", 0.01), ("fineweb-edu-100b", "proof-pile-2", 0.02)],
)
def test_one_training_loss_predicts_another(sweep, first, second, off):
    pair = [trained_on(sweep, name) for name in (first, second)]
    floors = []
    for runs in pair:
        N, D, loss = (np.array(column) for column in zip(*runs.values(), strict=True))
        floors.append(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).params["E"])
    shared = sorted(set(pair[0]) & set(pair[1]))
    assert len(shared) > 80
    L0, L1 = (np.array([runs[key][2] for key in shared]) for runs in pair)
    runs = iso.read({"L0": L0, "loss": L1}, L0="L0")
    fit = iso.fit("loss_to_loss", runs, fix={"E0": floors[0], "E1": floors[1]})
    assert fit.success
    assert np.abs(fit.predict(L0=L0) / L1 - 1).max() < off
    assert fit.params["kappa"] == pytest.approx(1.05, abs=0.05)


@pytest.mark.parametrize("task", ["mmlu", "arc_c", "hellaswag"])
def test_other_benchmarks_forecast_larger_models_better_than_compute_does(data_dir, task):
    with (data_dir / "obs_base_llms.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [
        name for name in rows[0] if name not in ("model", "family", "params_billions", "tokens_trillions", "flops_1e21")
    ]
    scores = np.array([[float(row[name] or "nan") for name in names] for row in rows])
    compute = np.array([float(row["flops_1e21"] or "nan") for row in rows])
    j = names.index(task)
    components = iso.rules.get("capability_components")(scores=np.delete(scores, j, axis=1)).scores
    known = np.isfinite(scores[:, j]) & np.isfinite(compute)
    # The paper's cut: the compute of Llama-2 7B.
    small, large = known & (compute <= 84), known & (compute > 84)

    def columns(rows):
        return {f"S{i + 1}": components[rows, i] for i in range(3)}

    runs = iso.read({**columns(small), "loss": scores[small, j]}, S1="S1", S2="S2", S3="S3")
    fit = iso.fit("observational", runs)
    assert fit.success
    error = np.abs(fit.predict(**columns(large)) - scores[large, j]).mean()
    line = np.polyfit(np.log(compute[small]), scores[small, j], 1)
    by_compute = np.abs(np.polyval(line, np.log(compute[large])) - scores[large, j]).mean()
    assert error < 0.06
    assert error < 0.6 * by_compute
