"""Training compute counted from the architecture. Journey J3."""

import json

import numpy as np
import pytest

import isoloss as iso
from isoloss.cli import main
from isoloss.errors import DataError, OptionError
from isoloss.plan.flops import flops_from, flops_to_plain

# What scaling_laws.ipynb of github.com/karpathy/nanoGPT prints at commit 0082c4818b0d688ac42cb0370835fa14356a9202 for
# the six architectures of table A4 of Hoffmann et al. 2022: layers, width, heads, N, FLOPs of a sequence of 2,048
# tokens without embeddings and logits (which that table leaves out, as its comment says), and their ratio to 6ND.
TABLE = [
    (10, 640, 10, 73825280, 929877196800, 1.025036),
    (20, 1024, 16, 305707008, 4135248199680, 1.100817),
    (24, 1280, 10, 552604160, 7353453772800, 1.082919),
    (26, 1792, 14, 1143453696, 14670316437504, 1.044094),
    (28, 2048, 16, 1593126912, 20220437594112, 1.032902),
    (40, 3584, 28, 6796274688, 83021046743040, 0.994114),
]


@pytest.fixture(scope="module")
def fit():
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
    return iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective="squared_log")


@pytest.mark.parametrize(("layers", "width", "heads", "N", "flops", "ratio"), TABLE)
def test_the_architectures_of_hoffmann_take_the_flops_that_were_printed(layers, width, heads, N, flops, ratio):
    model = iso.Transformer(layers=layers, vocab=0, seq=2048, head_dim=width // heads)
    blocks = 12 * layers * width**2
    assert model.width(blocks) == pytest.approx(width, rel=1e-14)
    assert model.per_token(blocks) * 2048 == pytest.approx(flops, rel=1e-14)
    assert model(blocks, 2048) / (6 * N * 2048) == pytest.approx(ratio, abs=6e-7)
    assert abs(ratio - 1) < 0.11  # what makes 6ND a fair rule


def test_appendix_f_term_by_term():
    layers, d, heads, seq, vocab, ffn = 12, 768, 12, 1024, 50257, 3072
    forward = 2 * seq * vocab * d  # embeddings
    attention = 2 * 3 * seq * d * d  # queries, keys, values
    attention += 2 * seq * seq * d + 3 * heads * seq * seq + 2 * seq * seq * d  # logits, softmax, values weighed
    attention += 2 * seq * d * d  # projection
    forward += layers * (attention + 2 * seq * (d * ffn + d * ffn)) + 2 * seq * d * vocab  # feed-forward, logits
    model = iso.Transformer(layers=layers, vocab=vocab, seq=seq, head_dim=d // heads)
    N = 12 * layers * d * d + vocab * d
    assert model.counts == "total"
    assert model.per_token(N) == pytest.approx(3 * forward / seq, rel=1e-13)
    assert model(N, "300B") == pytest.approx(3 * forward / seq * 300e9, rel=1e-13)


def test_the_conventions_of_kaplan_and_deepseek():
    layers, d, seq = 40, 5120, 2048
    N = 12 * layers * d**2
    kaplan = iso.Transformer(layers=layers, vocab=50_000, seq=seq, convention="kaplan")
    assert kaplan.counts == "non-embedding"
    assert kaplan.per_token(N) == pytest.approx(3 * (2 * N + 2 * layers * seq * d), rel=1e-13)
    deepseek = iso.Transformer(layers=layers, vocab=50_000, seq=seq, convention="deepseek")
    assert deepseek.per_token(N) == pytest.approx(72 * layers * d**2 + 12 * layers * d * seq, rel=1e-13)


@pytest.mark.parametrize("rule", [{"layers": 1}, {"layers": 96}, {"aspect": 8}, {"aspect": 128}])
@pytest.mark.parametrize(
    ("options", "block", "embeddings"),
    [
        ({}, 12.0, 1.0),
        ({"tied": False}, 12.0, 2.0),
        ({"gated": True, "ffn": 8 / 3}, 12.0, 1.0),
        ({"gated": True, "ffn": 4}, 16.0, 1.0),
        ({"n_counts": "non-embedding"}, 12.0, 0.0),
        ({"convention": "kaplan", "n_counts": "total"}, 12.0, 1.0),
        ({"vocab": 0}, 12.0, 0.0),
        ({"vocab": 1e9}, 12.0, 1.0),
    ],
)
def test_width_and_depth_give_back_the_size(rule, options, block, embeddings):
    model = iso.Transformer(**{"vocab": 32_000, "seq": 2048, **rule, **options})
    N = np.geomspace(1e3, 1e15, 200)
    d, L = model.width(N), model.depth(N)
    np.testing.assert_allclose(block * L * d**2 + embeddings * model.vocab * d, N, rtol=1e-12)
    if "aspect" in rule:
        np.testing.assert_allclose(d / L, rule["aspect"], rtol=1e-14)
    assert np.all(np.diff(model.per_token(N)) > 0.0)
    assert model.width(float(N[7])) == d[7]


def test_grouped_query_attention_is_that_of_llama_3_70b():
    # 80 layers of width 8192, 64 heads that share 8 of keys and values, a gated feed-forward layer of width 28,672 and
    # 128,256 tokens, untied: Grattafiori et al. 2024, table 3. The norms, which are not counted, are 161 vectors.
    d, layers, vocab, seq, heads = 8192, 80, 128_256, 8192, 64
    N = layers * (2 * d * d + 2 * d * d * 8 // heads + 3 * d * 28_672) + 2 * vocab * d
    assert N + 161 * d == 70_553_706_496  # what the checkpoint holds
    options = {"layers": np.int64(layers), "vocab": vocab, "seq": seq, "gated": True, "ffn": 28_672 / d, "tied": False}
    model = iso.Transformer(**options, kv=8 / heads, convention="deepseek", n_counts="total")
    assert model.width(N) == pytest.approx(d, rel=1e-12)
    # 6 N + 12 L H Q T of Chowdhery et al. 2022, appendix B, without the embeddings.
    assert model.per_token(N) == pytest.approx(6 * (N - 2 * vocab * d) + 12 * layers * d * seq, rel=1e-12)
    assert flops_from(json.loads(json.dumps(flops_to_plain(model)))) == model


def best_by_hand(fit, cost, C, served=0.0):
    """The least loss over a fine grid of sizes: what allocate has to find."""
    N = np.geomspace(1e8, 1e13, 400_001)
    D = (C - served * cost(N) / 3) / cost(N)
    N, D = N[D > 0], D[D > 0]
    loss = fit.predict(N=N, D=D)
    at = int(np.argmin(loss))
    return N[at], D[at], loss[at]


@pytest.mark.parametrize("served", [0.0, 2e12])
@pytest.mark.parametrize(
    "flops",
    [
        iso.Transformer(layers=48, vocab=128_000, seq=8192),
        iso.Transformer(aspect=100, vocab=50_000, seq=131_072, gated=True, ffn=8 / 3),
        iso.Transformer(layers=24, vocab=32_000, seq=2048, convention="kaplan", n_counts="total"),
        lambda N: 6 * N + 3e4 * N**0.6,
    ],
)
def test_the_optimum_is_that_of_a_fine_grid(fit, flops, served):
    cost = flops.per_token if isinstance(flops, iso.Transformer) else flops
    plan = fit.allocate(C=1e24, flops=flops, inference_tokens=served)
    N, D, loss = best_by_hand(fit, cost, 1e24, served)
    assert pytest.approx(N, rel=2e-3) == plan.N
    assert pytest.approx(D, rel=2e-3) == plan.D
    assert plan.loss == pytest.approx(loss, rel=1e-10)
    assert cost(np.array([plan.N]))[0] * (plan.D + served / 3) == pytest.approx(1e24, rel=1e-12)
    assert plan.flops == pytest.approx(cost(np.array([plan.N]))[0] / plan.N, rel=1e-14)


def test_without_context_and_vocabulary_it_is_6nd(fit):
    bare = iso.Transformer(layers=30, vocab=0, seq=1e-9, convention="kaplan")
    plain = fit.allocate(C=[1e22, 1e24])
    for flops in (bare, lambda N: 6 * N, 6, 6.0):
        plan = fit.allocate(C=[1e22, 1e24], flops=flops)
        np.testing.assert_allclose(plan.N, plain.N, rtol=1e-6)
        np.testing.assert_allclose(plan.flops, 6.0, rtol=1e-9)


def test_long_sequences_leave_fewer_tokens_per_parameter(fit):
    """At the optimum alpha A / N^alpha = e beta B / D^beta, where compute per token goes as N^e around it.

    The context goes as the square root of N where the number of layers is fixed, so that e is near a half for long
    sequences: a larger model is cheaper to come by than more tokens.
    """
    p, plans = fit.params, []
    for seq in (1024, 262_144):
        model = iso.Transformer(layers=40, vocab=32_000, seq=seq)
        plan = fit.allocate(C=1e23, flops=model)
        e = np.log(model.per_token(plan.N * 1.001) / model.per_token(plan.N / 1.001)) / np.log(1.001**2)
        slopes = p["alpha"] * p["A"] / plan.N ** p["alpha"], p["beta"] * p["B"] / plan.D ** p["beta"]
        assert slopes[0] / slopes[1] == pytest.approx(e, rel=1e-3)
        plans.append(plan)
    assert plans[1].tokens_per_parameter < 0.3 * plans[0].tokens_per_parameter
    assert plans[1].loss > plans[0].loss


def test_regret_is_paid_in_the_same_flops(fit):
    model = iso.Transformer(aspect=128, vocab=32_000, seq=32_768)
    plan = fit.allocate(C=1e24, flops=model)
    paid = plan.regret(N=["20B"])
    assert paid.C == 1e24
    assert model(20e9, paid.D) == pytest.approx(1e24, rel=1e-12)
    assert paid.loss == pytest.approx(fit.predict(N=20e9, D=paid.D), rel=1e-12)
    assert paid.penalty > 0.0
    assert fit.allocate(C=1e24 * paid.worth, flops=model).loss == pytest.approx(paid.loss, rel=1e-9)
    assert plan.regret(N=plan.N).worth == pytest.approx(1.0, abs=1e-6)


def test_draws_give_intervals_and_budgets_give_columns(fit):
    runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    made = iso.fit("chinchilla", runs)
    made = made.with_draws(made.bootstrap(100, seed=0))
    model = iso.Transformer(layers=32, vocab=32_000, seq=4096)
    plan = made.allocate(C=[1e22, 1e23, 1e24], flops=model)
    low, high = plan.intervals["N"]
    assert np.all((low < plan.N) & (high > plan.N))
    assert plan.flops.shape == (3,)
    assert json.loads(json.dumps(plan.to_dict()))["flops"] == plan.flops.tolist()
    lines = str(plan).split("\n")
    assert sum("32.0 layers of width" in line for line in lines) == 3


def test_a_step_in_the_cost_is_allowed_and_a_fall_is_not(fit):
    plan = fit.allocate(C=1e23, flops=lambda N: 6 * 2 ** np.round(np.log2(N)))
    assert np.isfinite(plan.loss)
    with pytest.raises(OptionError, match=r"falls from N = .* on: a larger model cannot take fewer FLOPs"):
        fit.allocate(C=1e23, flops=lambda N: 6e12 / N)


@pytest.mark.parametrize(
    ("flops", "match"),
    [
        (lambda N: np.full_like(N, np.nan), "nan FLOPs per token"),
        (lambda N: -N, "FLOPs per token for N ="),
        (lambda N: 0 * N, "0 FLOPs per token"),
        (lambda N: N[..., :1], "array of shape"),
        (lambda N: 1e9, "array of shape"),
        ("7ND", "isoloss.Transformer"),
        (iso.Transformer, "isoloss.Transformer"),
        (None, "isoloss.Transformer"),
        ([6.0], "isoloss.Transformer"),
    ],
)
def test_what_counts_no_flops_is_refused(fit, flops, match):
    with pytest.raises(OptionError, match=match) as caught:
        fit.allocate(C=1e23, flops=flops)
    assert caught.value.code == "option"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "one of the two"),
        ({"layers": 12, "aspect": 64}, "one of the two"),
        ({"layers": 0}, "layers=0 is not"),
        ({"layers": True}, "layers=True is not"),
        ({"layers": "12"}, "layers='12' is not"),
        ({"aspect": -1.0}, "aspect=-1.0 is not"),
        ({"layers": 12, "vocab": -1}, "vocab=-1 is not"),
        ({"layers": 12, "vocab": None}, "vocab=None is not"),
        ({"layers": 12, "seq": np.inf}, "seq=inf is not"),
        ({"layers": 12, "seq": np.nan}, "seq=nan is not"),
        ({"layers": 12, "head_dim": 0}, "head_dim=0 is not"),
        ({"layers": 12, "ffn": 0}, "ffn=0 is not"),
        ({"layers": 12, "kv": 0}, "kv=0 is not"),
        ({"layers": 12, "convention": "hofmann"}, "did you mean 'hoffmann'"),
        ({"layers": 12, "n_counts": "active"}, "n_counts='active' is neither"),
    ],
)
def test_architectures_that_cannot_be_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        iso.Transformer(**{"vocab": 32_000, "seq": 2048, **options})


@pytest.mark.parametrize("N", [0.0, -1e9, np.nan, np.inf, [1e9, 0.0]])
def test_sizes_that_cannot_be_are_refused(N):
    with pytest.raises(DataError) as caught:
        iso.Transformer(layers=12, vocab=32_000, seq=2048).per_token(N)
    assert caught.value.code == "data-nonpositive"


def test_what_n_counts_must_agree_with_the_runs(fit):
    columns = {"params_non_embedding": fit.runs["N"], "D": fit.runs["D"], "loss": fit.runs["loss"]}
    made = iso.fit("chinchilla", iso.read(columns, N="params_non_embedding"), objective="squared_log")
    with pytest.raises(
        OptionError, match="the runs count non-embedding parameters as N and the Transformer total ones"
    ):
        made.allocate(C=1e24, flops=iso.Transformer(layers=80, vocab=32_000, seq=4096))
    plan = made.allocate(C=1e24, flops=iso.Transformer(layers=80, vocab=32_000, seq=4096, n_counts="non-embedding"))
    assert plan.N > 0
    assert made.allocate(C=1e24, flops=iso.Transformer(layers=80, vocab=32_000, seq=4096, convention="kaplan")).N > 0


def test_the_command_counts_them_too(fit, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fit.save("fit.json")
    words = "allocate fit.json --compute 1e24 --transformer aspect=128,vocab=32K,seq=4096,gated=yes,ffn=2.7 --json"
    assert main([*words.split(), "--inference-tokens", "2T"]) == 0
    told = json.loads(capsys.readouterr().out)["allocations"][0]
    model = iso.Transformer(aspect=128, vocab=32_000, seq=4096, gated=True, ffn=2.7)
    plan = fit.allocate(C=1e24, flops=model, inference_tokens=2e12)
    assert (told["N"], told["flops"], told["inference_tokens"]) == (plan.N, plan.flops, 2e12)
    for text, match in {
        "layers=80": "vocab and seq missing",
        "layer=80,vocab=1,seq=2": "did you mean 'layers'",
        "layers=80,vocab=1,seq=2,gated=1": "yes or no",
        "layers=80,aspect=9,vocab=1,seq=2": "one of the two",
    }.items():
        assert main(["allocate", "fit.json", "--compute", "1e24", "--transformer", text]) == 2
        assert match in capsys.readouterr().err
