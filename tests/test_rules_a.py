"""Rules of the first twenty-one papers: what they refuse, their limits, and rules and fits together."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

import isoloss as iso
from isoloss.errors import DataError, LawError, OptionError
from isoloss.laws.projektor import projektor_mixture
from isoloss.laws.steps_and_batch import fit_stepwise
from isoloss.rules._imperfect_probe import _margin, _Student

TIGHT = {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 400}

SEEDS = [
    "2403.06563",
    "2503.04715",
    "2206.14486",
    "2102.06701",
    "2403.08540",
    "2310.03262",
    "2506.04598",
    "2010.14701",
    "2307.02460",
    "2006.09092",
    "1712.00409",
    "2404.07177",
    "2404.01204",
    "2410.12360",
    "2505.10475",
    "2409.15156",
    "2402.11215",
    "2103.06877",
    "2407.12854",
    "2111.10050",
    "2109.07740",
]


def test_every_seed_paper_has_an_entry():
    known = {row["arxiv"] for row in iso.laws.table()}
    assert [arxiv for arxiv in SEEDS if arxiv not in known] == []


@pytest.mark.parametrize(
    ("name", "values", "kind", "code", "words"),
    [
        (
            "hestness_data",
            {"error": 0.2, "a": 1.0, "beta": -0.3, "g": 0.2},
            DataError,
            "rule-domain",
            "no amount of data",
        ),
        ("scaling_regime", {"x": [1.0, 2.0], "loss": [1.0, 0.5]}, DataError, "data-shape", "three points"),
        (
            "scaling_regime",
            {"x": [1.0, 2.0, 3.0], "loss": [1.0, 0.5, 0.3], "L_inf": 0.3},
            DataError,
            "rule-domain",
            "L_inf",
        ),
        ("pass_until", {"successes": 5.0, "draws": 4.0}, DataError, "rule-domain", "above the number of draws"),
        ("passuntil_curvature", {"N": [1e8, 1e9], "rate": [0.1, 0.2]}, DataError, "data-shape", "four sizes"),
        ("pareto_envelope", {"compute": [1.0, 2.0], "loss": [1.0]}, DataError, "data-shape", "one length"),
        (
            "projektor_projection",
            {"n": 1.0, "n0": 2.0, "n1": 2.0, "perf0": 0.0, "perf1": 1.0},
            DataError,
            "rule-domain",
            "two sizes",
        ),
        ("gradient_noise", {"gradients": [1.0, 2.0]}, DataError, "data-shape", "samples, parameters"),
        ("qqt_mixture", {"x": 1e6, "model": "best"}, OptionError, "option", "'best'"),
        ("qqt_mixture", {"x": 1e6, "b": [-0.1, -0.2], "tau": [3.0]}, DataError, "data-shape", "each pool"),
        ("qqt_best_pools", {"x": [1e6, 1e7]}, DataError, "data-shape", "one number"),
        (
            "crossover",
            {"first": 3.0, "second": abs, "x": "C", "low": 1.0, "high": 2.0},
            OptionError,
            "option",
            "not float",
        ),
        (
            "crossover",
            {"first": abs, "second": abs, "x": "C", "low": 2.0, "high": 2.0},
            DataError,
            "rule-domain",
            "above low",
        ),
        ("crossover", {"second": abs, "x": "C", "low": 1.0, "high": 2.0}, LawError, "law-missing-name", "first"),
        (
            "curve_similarity",
            {"tokens": [1.0, 2.0], "small": [1.0], "large": [1.0]},
            DataError,
            "data-shape",
            "one length",
        ),
        (
            "curve_similarity",
            {"tokens": [1.0, 1.0, 2.0], "small": [1.0, 2.0, 3.0], "large": [1.0, 2.0, 3.0]},
            DataError,
            "rule-domain",
            "rises",
        ),
        (
            "curve_similarity",
            {"tokens": [1.0, 2.0, 3.0], "small": [1.0, 1.0, 1.0], "large": [1.0, 2.0, 3.0]},
            DataError,
            "rule-domain",
            "never changes",
        ),
        ("compound_scaling", {"s": 2.0, "e_r": 1.5}, DataError, "rule-domain", "'e_r'"),
    ],
)
def test_rules_say_what_is_wrong(name, values, kind, code, words):
    with pytest.raises(kind, match=words) as caught:
        iso.rules.get(name)(**values)
    assert caught.value.code == code


def test_rules_take_arrays_where_their_formula_does():
    best = iso.rules.get("overtraining_optimum")("rpj", C=[1e20, 1e22], M=100)
    assert best.N.shape == best.penalty.shape == (2,)
    assert best.N[1] == pytest.approx(10 * best.N[0])
    both = iso.rules.get("step_law_interval")(N=[1e8, 1e9], D=1e11)
    one = iso.rules.get("step_law_interval")(N=1e9, D=1e11)
    assert both.lr[1] == pytest.approx(one.lr, rel=1e-12)
    assert both.batch_high[1] == pytest.approx(one.batch_high, rel=1e-12)
    keep = iso.rules.get("best_keep_fraction")(alpha=[0.5, 1.5])
    assert keep.fraction[0] == 1.0
    assert keep.error[1] < keep.error_random[1]


def test_overtraining_optimum_is_the_least_of_its_law():
    law = iso.laws.get("overtraining").bind("c4")
    C = 1e21
    best = iso.rules.get("overtraining_optimum")("c4", C=C, M=20)
    around = law(C=C, M=best.M * np.array([0.99, 1.0, 1.01]))
    assert around[1] == pytest.approx(best.loss, rel=1e-14)
    assert around.argmin() == 1
    assert best.penalty == pytest.approx(law(C=C, M=20.0) - best.loss, rel=1e-9)
    assert pytest.approx(best.M) == best.D / best.N


def test_nmt_split_is_the_least_of_its_law():
    law = iso.laws.get("nmt").bind(alpha=0.9, p_e=0.2, p_d=0.3, L_inf=1.1)
    split = iso.rules.get("nmt_split")(budget=1e9, p_e=0.2, p_d=0.3)
    Ne = split.encoder * np.array([0.98, 1.0, 1.02])
    assert law(Ne=Ne, Nd=1e9 - Ne).argmin() == 1


def test_datastore_subsampling_against_the_binomial():
    scipy = pytest.importorskip("scipy.stats")
    p = np.array([0.001, 0.01, 0.05, 0.25])
    told = iso.rules.get("datastore_subsampling")(p=p, K=1000, k=3)
    np.testing.assert_allclose(told, scipy.binom.sf(2, 1000, p), rtol=1e-10)


def test_unbiased_pass_rate_is_unbiased():
    draws = np.random.default_rng(0).negative_binomial(3, 0.02, 40_000) + 3.0
    told = iso.rules.get("pass_until")(successes=3.0, draws=draws)
    error = told.unbiased.std() / np.sqrt(draws.size)
    assert abs(told.unbiased.mean() - 0.02) < 3 * error
    assert told.paper.mean() - 0.02 > 20 * error
    assert np.isnan(iso.rules.get("pass_until")(successes=1.0, draws=7.0).unbiased)


def test_norm_test_from_gradients_is_the_noise_over_the_signal():
    """Noise s^2 I_p about mu asks for p s^2 / (eta^2 |mu|^2), less what the batch itself adds to |g|^2."""
    mu, s, p, b = 0.05, 1.0, 4000, 2048
    gradients = np.random.default_rng(1).normal(mu, s, (b, p))
    noise = iso.rules.get("gradient_noise")(gradients=gradients)
    wanted = iso.rules.get("norm_test")("resnet18_cifar10", batch=1, variance=noise.variance, norm2=noise.norm2)
    assert wanted == pytest.approx(p * s**2 / (0.25 * (p * mu**2 + p * s**2 / b)), rel=0.02)
    assert noise.variance == pytest.approx(noise.orthogonal + noise.inner / noise.norm2, rel=1e-9)


def test_batch_curvature_is_continuous_at_its_threshold():
    rule = iso.rules.get("batch_curvature")
    edge = 0.02 * np.sqrt(1500)
    below, above = (rule(batch=1, curvature=edge * (1 + e), noise=0.02, P=1500).curvature for e in (-1e-9, 1e-9))
    assert below == pytest.approx(2 * edge, rel=1e-8)
    assert above == pytest.approx(2 * edge, rel=1e-8)


def test_pruning_is_free_with_many_data():
    """The theory's limit: the error of f P hard examples tends to that of all P, 0.5 f / alpha."""
    error = iso.rules.get("perceptron_pruning")
    for f, rel in ((1.0, 0.02), (0.5, 0.02), (0.2, 0.02)):
        assert error(alpha=64 * f, f=f) == pytest.approx(0.5 / 64, rel=rel)
    free = iso.rules.get("free_keep_fraction")
    assert free(alpha_total=32.0) < free(alpha_total=8.0) < free(alpha_total=2.0)


# Errors by the number of kept examples per weight, for each fraction kept: the catalogue's own solution.
PERFECT = {
    1.0: [0.32885, 0.26571, 0.18848, 0.11366, 0.06090, 0.03106],
    0.8: [0.35509, 0.27131, 0.16675, 0.09383, 0.04918, 0.02491],
    0.6: [0.38807, 0.29918, 0.14655, 0.07233, 0.03717, 0.01872],
    0.4: [0.42396, 0.34833, 0.12488, 0.04930, 0.02491, 0.01250],
    0.3: [0.44261, 0.38076, 0.11228, 0.03729, 0.01872, 0.00938],
    0.2: [0.46157, 0.41767, 0.09712, 0.02502, 0.01250, 0.00625],
    0.1: [0.48073, 0.45793, 0.07630, 0.01256, 0.00625, 0.00313],
}


@pytest.mark.parametrize("f", PERFECT)
def test_pruning_by_a_perfect_probe_has_the_errors_of_the_theory(f):
    found = iso.rules.get("perceptron_pruning")(alpha=[0.5, 1.0, 2.0, 4.0, 8.0, 16.0], f=f)
    np.testing.assert_allclose(found, PERFECT[f], rtol=2e-3)


def largest_margin(rows):
    """Unit vector w of the largest min(rows @ w), by the least-distance form of non-negative least squares."""
    count, size = rows.shape
    matrix, target = np.vstack([rows.T, np.ones(count)]), np.append(np.zeros(size), 1.0)
    dual, _ = nnls(matrix, target, maxiter=30 * count)
    rest = target - matrix @ dual
    return -rest[:size] / np.linalg.norm(rest[:size])


@pytest.mark.parametrize(("alpha", "f", "theta"), [(2.0, 0.6, 0.3), (4.0, 0.3, 0.3), (4.0, 0.3, 0.1), (3.0, 0.5, 0.8)])
def test_pruning_by_a_probe_off_the_teacher_agrees_with_simulated_students(alpha, f, theta):
    random, size, repeats = np.random.default_rng(0), 120, 24
    probe = np.zeros(size)
    probe[:2] = np.cos(theta), np.sin(theta)
    errors = []
    for _ in range(repeats):
        pool = random.standard_normal((round(alpha * size / f), size))
        kept = pool[np.argsort(np.abs(pool @ probe))[: round(alpha * size)]]
        student = largest_margin(kept * np.sign(kept[:, :1]))
        errors.append(np.arccos(student[0]) / np.pi)
    expected = iso.rules.get("perceptron_pruning")(alpha=alpha, f=f, theta=theta)
    # Students of 120 weights do a little better than those of the limit, in the known case too.
    spread = np.std(errors) / repeats**0.5
    assert abs(np.mean(errors) - expected) < 3.5 * spread + 0.02 * expected


def test_margin_is_largest_at_the_student_that_is_found():
    theta, f, alpha = 0.4, 0.3, 3.0
    gamma, load = NormalDist().inv_cdf(0.5 + f / 2), 2 * alpha / f

    def margin(s, psi):
        return _margin(_Student(s, psi, theta, gamma), load)

    # The derivatives are those of differences ...
    at, h = (0.4, -0.1), 1e-5
    found = margin(*at)
    assert found.by_s == pytest.approx((margin(at[0] + h, at[1])[0] - margin(at[0] - h, at[1])[0]) / 2 / h, rel=1e-6)
    assert found.by_psi == pytest.approx((margin(at[0], at[1] + h)[0] - margin(at[0], at[1] - h)[0]) / 2 / h, rel=1e-6)
    # ... and a search over all students finds none of a larger margin, and the same error.
    best = minimize(lambda x: -margin(np.exp(x[0]), x[1]).kappa, [-1.0, 0.0], method="Nelder-Mead", options=TIGHT)
    s, psi = np.exp(best.x[0]), best.x[1]
    error = iso.rules.get("perceptron_pruning")(alpha=alpha, f=f, theta=theta)
    assert np.arccos(np.sqrt(1 - s * s) * np.cos(psi)) / np.pi == pytest.approx(error, rel=1e-5)


def test_an_imperfect_probe_leaves_less_to_prune():
    error = iso.rules.get("perceptron_pruning")
    by_angle = error(alpha=3.2, f=0.2, theta=[0.0, 0.1, 0.2, 0.4])
    assert (np.diff(by_angle) > 0.0).all()
    perfect, off = (iso.rules.get("free_keep_fraction")(alpha_total=16.0, theta=theta) for theta in (0.0, 0.3))
    assert off > 2 * perfect


def test_no_batch_passes_every_coordinate_and_fails_the_norm():
    random = np.random.default_rng(1)
    for _ in range(20):
        gradients = random.normal(random.normal(size=8), 1.0, (64, 8))
        noise = iso.rules.get("gradient_noise")(gradients=gradients)
        every = iso.rules.get("coordinate_test")(gradients=gradients, batch=1, eta=0.5)
        norm = iso.rules.get("norm_test")(batch=1, variance=noise.variance, norm2=noise.norm2, eta=0.5)
        assert every >= norm


def test_kernel_curve_has_the_spectrum_s_exponent():
    D = np.array([100.0, 300.0])
    for alpha, slope in ((0.5, -0.508), (1.0, -0.995)):
        loss = iso.rules.get("kernel_learning_curve")(D=D, alpha_K=alpha)
        assert np.diff(np.log(loss))[0] / np.log(3.0) == pytest.approx(slope, abs=1e-3)


def test_crossover_of_the_vision_language_models():
    law = iso.laws.get("laion_error")
    clip, mammut = (law.bind(f"{name}_datacomp_imagenet") for name in ("clip", "mammut"))
    found = iso.rules.get("crossover")(first=clip, second=mammut, x="C", low=1e9, high=1e13)
    assert found.points == pytest.approx([7.9e10], rel=0.02)
    assert (found.below, found.above, found.probability) == ("first", "second", 1.0)
    none = iso.rules.get("crossover")(first=clip, second=mammut, x="C", low=1e12, high=1e13)
    assert none.points.size == 0
    assert none.probability == 0.0
    assert np.isnan(none.low)


def test_crossover_takes_fits_draws_and_the_other_variables():
    N = np.geomspace(1e7, 1e10, 6)
    runs = {"N": np.repeat(N, 4), "D": np.tile(np.geomspace(1e9, 1e12, 4), 6)}
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(**runs)
    fit = iso.fit("chinchilla", {**runs, "loss": loss * np.exp(0.001 * np.random.default_rng(0).standard_normal(24))})
    flat = iso.law("2.2 + 0 * N", vars=["N"]).bind()
    rule = iso.rules.get("crossover")
    at = {"D": 1e12}
    by_fit = rule(first=fit, second=flat, x="N", low=1e8, high=1e12, at=at)
    assert fit.predict(N=by_fit.points[0], D=1e12) == pytest.approx(2.2, abs=1e-5)
    by_draws = rule(first=fit.bootstrap(200, seed=0), second=flat, x="N", low=1e8, high=1e12, at=at)
    assert by_draws.probability == 1.0
    assert by_draws.low < by_fit.points[0] < by_draws.high
    with pytest.raises(LawError, match="no value for D"):
        rule(first=fit.bootstrap(20, seed=0), second=flat, x="N", low=1e8, high=1e12)


def test_curve_similarity_shares_ranks_among_ties():
    told = iso.rules.get("curve_similarity")(
        tokens=[1.0, 2.0, 3.0, 4.0], small=[0.0, 1.0, 2.0, 4.0], large=[0.0, 1.0, 2.0, 4.0]
    )
    assert told.rank_correlation == pytest.approx(1.0)
    assert told.area == 0.0


def test_projektor_mixtures_of_other_numbers_of_sources():
    law = projektor_mixture(4)
    assert law.name == "projektor_mixture_4"
    assert law.variables == ("p1", "p2", "p3", "OT")
    assert len(law.parameters) == 14
    with pytest.raises(OptionError, match="two sources") as caught:
        projektor_mixture(1)
    assert caught.value.code == "option"


TRUTH = {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}


def trajectory(N, S, batch, p=TRUTH):
    """Loss after S steps by bisection: what the implicit law solves."""
    low = np.broadcast_to((p["Nc"] / N) ** p["alpha_N"], np.broadcast_shapes(np.shape(N), np.shape(S))).copy()
    high = np.full_like(low, 1e3)
    for _ in range(200):
        L = 0.5 * (low + high)
        right = (p["Nc"] / N) ** p["alpha_N"] + (
            p["Sc"] * (1 + p["B_star"] / (batch * L ** (1 / p["alpha_B"]))) / S
        ) ** p["alpha_S"]
        low, high = np.where(right > L, L, low), np.where(right > L, high, L)
    return 0.5 * (low + high)


def test_su_trajectory_is_what_bisection_finds():
    law = iso.laws.get("su_trajectory").bind(TRUTH)
    N, S, batch = np.meshgrid([1e6, 1e9, 3.3e10], np.geomspace(2e3, 1e6, 7), [3e4, 3e7])
    np.testing.assert_allclose(law(N=N, S=S, batch=batch), trajectory(N, S, batch), rtol=1e-12)


def test_su_constants_are_recovered_step_by_step():
    """Models below 60M parameters with a little noise; then the curve of a model 500 times larger is predicted."""
    random = np.random.default_rng(3)
    noisy = lambda values, size: values * np.exp(size * random.standard_normal(np.shape(values)))  # noqa: E731
    N = np.geomspace(1e6, 6e7, 12)
    level, batch = (axis.ravel() for axis in np.meshgrid([3.2, 3.6, 4.2, 5.0], np.geomspace(2e4, 2e7, 6)))
    S_min = TRUTH["Sc"] / (level - (TRUTH["Nc"] / 6e7) ** TRUTH["alpha_N"]) ** (1 / TRUTH["alpha_S"])
    S = S_min * (1 + TRUTH["B_star"] * level ** (-1 / TRUTH["alpha_B"]) / batch)
    steps = np.geomspace(2e3, 3e5, 40)
    told = fit_stepwise(
        {"N": N, "loss": noisy((TRUTH["Nc"] / N) ** TRUTH["alpha_N"], 5e-4)},
        {"batch": batch, "S": noisy(S, 0.01), "L": level},
        {
            "N": np.full(40, 6e7),
            "S": steps,
            "batch": np.full(40, 5e5),
            "loss": noisy(trajectory(6e7, steps, 5e5), 5e-4),
        },
    )
    assert told.keys() == TRUTH.keys()
    for name in ("alpha_N", "alpha_B", "alpha_S"):
        assert told[name] == pytest.approx(TRUTH[name], rel=0.03), name
    steps = np.geomspace(5e3, 5e5, 20)
    assert trajectory(3.3e10, steps, 2e6, told) == pytest.approx(trajectory(3.3e10, steps, 2e6), rel=0.005)
