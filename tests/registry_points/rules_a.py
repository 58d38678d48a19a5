"""Check points of the rules of the first twenty-one papers; values by hand unless a source stands beside them."""

RULES = {
    "step_law_interval": [
        # exp(0.586308 - 0.712922 ln 1e9 + 0.307491 ln 1e11), exp(-0.543542 + 0.570944 ln 1e11)
        ({"N": 1e9, "D": 1e11}, {"lr": 1.66235e-3, "batch": 1.10747e6}, 1e-4),
    ],
    "step_law_rivals": [
        # 3.239e-3 - 1.395e-4 ln 1e9 by hand; the catalogue's value of the Step Law; a batch of 2e8 3^-4.7619
        (
            {"N": 1e9, "D": 1e11},
            [("OpenAI", 3.481e-4), ("Step Law", 1.632e-3)],
            lambda rows: [(row.law, float(f"{row.lr:.4g}")) for row in rows if row.law in ("OpenAI", "Step Law")],
        ),
        ({"N": 1e9, "D": 1e11, "L": 3.0}, [1.069e6], lambda rows: [float(f"{rows[0].batch:.4g}")]),
    ],
    "step_law_penalty": [
        ({"lr_ratio": 2.0, "batch_ratio": 0.5}, {"lr": 0.0084, "batch": 0.0044}),
        ({"lr_ratio": 1.0}, {"lr": 0.0, "batch": 0.0}),
    ],
    "overtraining_optimum": [
        # M = (16 / 4)^(1 / (2 / 2)) = 4; N = sqrt(2400 / 24); loss 1 + (4 * 2 + 16 / 2) / 4 at C = 16
        ({"C": 2400.0, "E": 1.0, "a": 4.0, "eta": 0.5, "b": 16.0}, {"M": 4.0, "N": 10.0, "D": 40.0, "penalty": 0.0}),
        # (4 * 4 + 16 / 4) / 4 - (8 + 8) / 4
        ({"C": 16.0, "M": 16.0, "E": 1.0, "a": 4.0, "eta": 0.5, "b": 16.0}, {"loss": 5.0, "penalty": 1.0}),
        # The catalogue: 3.4, 7.4 and 5.8 tokens per parameter.
        (("c4", {"C": 1e22}), {"M": 3.4}, 0.02),
        (("rpj", {"C": 1e22}), {"M": 7.4}, 0.01),
        (("rw", {"C": 1e22}), {"M": 5.8}, 0.02),
    ],
    "parscale_equivalent": [
        # The catalogue's multipliers.
        (("stack", {"P": 2.0}), 1.273, 5e-4),
        (("stack", {"P": 8.0}), 1.818, 5e-4),
        (("pile", {"P": 4.0}), 1.464, 5e-4),
        ({"P": 1.0, "k": 0.3}, 1.0),
    ],
    "parscale_streams": [
        ({"ratio": 1.5, "k": 0.5}, 2.718281828459045),
        ({"ratio": 1.0, "k": 0.5}, 1.0),
    ],
    "henighan_infogain": [
        # 0.1 ln e^2
        ({"N": 7.38905609893065e8, "rate": 0.1, "Nc": 1e8}, 0.2),
    ],
    "hestness_data": [
        ({"error": 0.75, "a": 2.0, "beta": -0.5, "g": 0.25}, 16.0),
        # Halving the error of a straight line takes 2^(1/0.5)
        ({"error": 0.5, "a": 1.0, "beta": -0.5}, 4.0),
    ],
    "manifold_dimension": [({"alpha": 0.5}, 8.0), ({"alpha": 0.5, "n": 2.0}, 4.0)],
    "gain_per_doubling": [({"alpha": 1.0}, 0.5), ({"alpha": 2.0}, 0.75)],
    "kernel_learning_curve": [
        # The catalogue, 2e5 modes.
        ({"D": 30.0, "alpha_K": 0.5}, 0.66324, 1e-4),
        ({"D": 1000.0, "alpha_K": 0.5}, 0.11207, 1e-4),
        ({"D": 300.0, "alpha_K": 1.0}, 0.00819, 1e-3),
        # One mode: kappa = 1 - D has the root 1/2 at D = 1/2; gamma = 1/2; 1/4 / (1/2) * 1
        ({"D": 0.5, "alpha_K": 1.0, "modes": 1.0}, 0.5),
    ],
    "scaling_regime": [
        (
            {"x": [1.0, 10.0, 100.0], "loss": [3.5, 0.8, 0.53], "L_inf": 0.5},
            {"exponent": 1.0, "regime": "variance-limited"},
        ),
        ({"x": [1.0, 4.0, 16.0], "loss": [4.0, 2.0, 1.0]}, {"exponent": 0.5, "regime": "resolution-limited"}),
    ],
    "pass_until": [
        ({"successes": 3.0, "draws": 1001.0}, {"paper": 3 / 1001, "unbiased": 0.002}),
    ],
    "passuntil_size": [
        # (10 / 1)^(1/0.5) at the rate 1/e
        ({"rate": 0.36787944117144233, "c": 10.0, "alpha": 0.5}, 100.0),
    ],
    "passuntil_curvature": [
        # F = ln 4 + x^2 at x = -1.5, -0.5, 0.5, 1.5: curvature 2
        (
            {
                "N": [0.22313016014842982, 0.6065306597126334, 1.6487212707001282, 4.4816890703380645],
                # exp(-4 e^(x^2)) = exp(-4 e^2.25), exp(-4 e^0.25)
                "rate": [3.29694e-17, 5.8806e-3, 5.8806e-3, 3.29694e-17],
            },
            {"curvature": 2.0, "kind": "sub-scaling"},
            1e-3,
        ),
    ],
    "nmt_split": [
        ({"budget": 4e8, "p_e": 0.1, "p_d": 0.3}, {"encoder": 1e8, "decoder": 3e8}),
        ({"budget": 4e8, "p_e": 0.1, "p_d": 0.3, "cost_d": 2.0}, {"encoder": 1e8, "decoder": 1.5e8}),
    ],
    "retrieval_flops": [
        ({"N": 1e9, "D": 1e11, "R": 0.0}, 6e20),
        # The datastore of 1.4T tokens alone: 4.96e20
        ({"N": 1.0, "D": 1.0, "R": 1.4e12}, 4.956e20),
    ],
    "retrieval_break_even": [({"N": 1e9, "R": 1.4e12}, 8.26e10)],
    "datastore_subsampling": [
        ({"p": 0.5, "K": 2.0, "k": 1.0}, 0.75),
        ({"p": 0.5, "K": 3.0, "k": 2.0}, 0.5),
        ({"p": 1.0}, 1.0),
        # The paper: K = 1000, k = 3
        (("paper", {"p": 0.01}), 0.9973, 1e-4),
    ],
    "pareto_envelope": [({"compute": [3.0, 1.0, 2.0, 4.0], "loss": [2.8, 3.0, 2.5, 2.0]}, [1, 2, 3])],
    "projektor_projection": [
        ({"n": 4000.0, "n0": 1000.0, "n1": 2000.0, "perf0": 0.6, "perf1": 0.65}, 0.7),
        ({"n": 1000.0, "n0": 1000.0, "n1": 1500.0, "perf0": 0.6, "perf1": 0.65}, 0.6),
    ],
    "batch_tradeoff": [
        ({"batch": 1e6, "S_min": 1000.0, "B_crit": 1e6}, {"steps": 2000.0, "tokens": 2e9, "time": 2.0, "data": 2.0}),
        ({"batch": 5e5, "S_min": 1000.0, "B_crit": 1e6}, {"steps": 3000.0, "tokens": 1.5e9}),
    ],
    "gradient_noise": [
        (
            {"gradients": [[2.0, 0.0], [4.0, 0.0], [3.0, 1.0], [3.0, -1.0]]},
            {"norm2": 9.0, "variance": 4 / 3, "inner": 6.0, "orthogonal": 2 / 3},
        ),
    ],
    "norm_test": [
        (("imagenet", {"batch": 256.0, "variance": 90.0, "norm2": 9.0}), 1000.0),
        (("resnet18_cifar10", {"batch": 256.0, "variance": 90.0, "norm2": 9.0}), 256.0),
        (("imagenet", {"batch": 256.0, "variance": 90.0, "norm2": 9.0, "cap": 512.0}), 512.0),
    ],
    "coordinate_test": [
        # variances 2/3 and 1/3 of means 3 and 1: the second asks for more, (1/3) / 0.0625 = 5.33
        ({"gradients": [[2.0, 0.5], [4.0, 0.5], [3.0, 1.5], [3.0, 1.5]], "batch": 2.0, "eta": 0.25}, 6.0),
        ({"gradients": [[2.0, 0.0], [4.0, 0.0]], "batch": 5.0, "eta": 1.0}, 5.0),  # no noise in the second
        ({"gradients": [[1.0, 1.0], [1.0, -1.0]], "batch": 2.0, "eta": 1.0, "cap": 64.0}, 64.0),  # no mean in it
    ],
    "inner_product_test": [
        # max(405 / (0.25 * 81), 270 / (1 * 9))
        (("paper", {"batch": 1.0, "norm2": 9.0, "inner": 405.0, "orthogonal": 270.0}), 30.0),
        (("paper", {"batch": 1.0, "norm2": 9.0, "inner": 405.0}), 20.0),
    ],
    "lr_for_batch": [
        (("sgd", {"batch": 1024.0, "batch0": 256.0, "lr0": 0.1}), 0.4),
        (("adam", {"batch": 1024.0, "batch0": 256.0, "lr0": 0.1}), 0.2),
        (("sgd", {"batch": 1024.0, "batch0": 256.0, "lr0": 0.1, "curvature": 8.0}), 0.25),
    ],
    "batch_curvature": [
        # The catalogue's formula values, beside its simulation: 1.612, 1.160, 1.035, 1.529
        ({"batch": 1.0, "curvature": 1.0, "noise": 0.02, "P": 1500.0}, {"curvature": 1.6, "lr_max": 1.25}),
        ({"batch": 4.0, "curvature": 1.0, "noise": 0.02, "P": 1500.0}, {"curvature": 1.15}),
        ({"batch": 16.0, "curvature": 1.0, "noise": 0.02, "P": 1500.0}, {"curvature": 1.0375}),
        ({"batch": 1.0, "curvature": 0.6, "noise": 0.02, "P": 1500.0}, {"curvature": 1.549}, 1e-3),
        # A batch of all samples has no noise.
        ({"batch": 100.0, "curvature": 1.0, "noise": 0.02, "P": 1500.0, "samples": 100.0}, {"curvature": 1.0}),
    ],
    "perceptron_pruning": [
        # The catalogue, confirmed there by simulation: f by kept examples per weight.
        ({"alpha": 1.0, "f": 1.0}, 0.26571, 2e-3),
        ({"alpha": 16.0, "f": 1.0}, 0.03106, 2e-3),
        ({"alpha": 0.5, "f": 0.1}, 0.48073, 2e-3),
        ({"alpha": 2.0, "f": 0.4}, 0.12488, 2e-3),
        ({"alpha": 8.0, "f": 0.2}, 0.01250, 2e-3),
        ({"alpha": [2.0, 4.0], "f": 0.6}, [0.14655, 0.07233], 2e-3),
        # A probe hardly off is a perfect one; all examples have no need of a probe.
        ({"alpha": [2.0, 8.0], "f": [0.6, 0.3], "theta": 1e-3}, [0.14655, 0.01872], 2e-3),
        ({"alpha": 4.0, "f": 1.0, "theta": 0.5}, 0.11366, 2e-3),
    ],
    "best_keep_fraction": [
        # Below one example per weight the whole pool is best; its error is that of the first column above.
        ({"alpha": 0.5}, {"fraction": 1.0, "error": 0.32885, "error_random": 0.32885}, 2e-3),
        ({"alpha": 4.0}, {"fraction": 0.02, "error_random": 0.11366}, 2e-3),
    ],
    "free_keep_fraction": [
        # Where half the data are free, error(4, f = 0.5) is within one per cent of error(8, f = 1).
        ({"alpha_total": 8.0, "tolerance": 0.01}, 0.4246, 2e-2),
        ({"alpha_total": 8.0, "tolerance": 10.0}, 0.02),
    ],
    "qqt_mixture": [
        # estimate_best_buckets of the authors' code with its published parameters.
        *(
            ({"x": x, "pools": float(k), "model": model}, value, 1e-4)
            for model, table in (
                (
                    "utility",
                    {
                        32e6: (0.8175, 0.8416, 0.8658, 0.8832),
                        64e6: (0.7538, 0.7670, 0.7960, 0.8201),
                        128e6: (0.7127, 0.7040, 0.7323, 0.7587),
                        640e6: (0.6882, 0.6145, 0.6244, 0.6486),
                    },
                ),
                (
                    "effective",
                    {
                        32e6: (0.8175, 0.8286, 0.8402, 0.8609),
                        64e6: (0.7542, 0.7558, 0.7677, 0.7917),
                        128e6: (0.7137, 0.6947, 0.7045, 0.7306),
                        640e6: (0.6923, 0.6098, 0.5991, 0.6208),
                    },
                ),
            )
            for x, row in table.items()
            for k, value in enumerate(row, 1)
        ),
        # Single pools at 128M
        *(
            ({"x": 128e6, "b": [b], "tau": [tau]}, value, 1e-4)
            for b, tau, value in (
                (-0.160, 6.727, 0.7127),
                (-0.125, 8.545, 0.7727),
                (-0.100, 5.273, 0.8492),
                (-0.085, 2.273, 0.9231),
            )
        ),
        (("tmars_best_tenth", {"x": 128e6}), 0.7127, 1e-4),
    ],
    "qqt_best_pools": [
        ({"x": 32e6}, {"pools": 1, "error": 0.8175}, 1e-4),
        ({"x": 640e6}, {"pools": 2, "error": 0.6145}, 1e-4),
        ({"x": 640e6, "model": "effective"}, {"pools": 3, "error": 0.5991}, 1e-4),
    ],
    "crossover": [
        # 4 / x = 1 at 4, and 1 before it is the lower
        (
            {"first": lambda C: 4.0 / C, "second": lambda C: 1.0 + 0.0 * C, "x": "C", "low": 1.0, "high": 100.0},
            {"points": [4.0], "below": "second", "above": "first", "probability": 1.0},
            1e-5,
        ),
    ],
    "curve_similarity": [
        (
            {"tokens": [1.0, 10.0, 100.0, 1000.0], "small": [0.0, 1.0, 3.0, 6.0], "large": [0.0, 10.0, 30.0, 60.0]},
            {"rank_correlation": 1.0, "area": 0.0},
        ),
        # Increments 1, 2, 3 against 3, 2, 1; scaled 0, 1/6, 1/2, 1 and 0, 1/2, 5/6, 1: gaps 0, 1/3, 1/3, 0
        (
            {"tokens": [1.0, 10.0, 100.0, 1000.0], "small": [0.0, 1.0, 3.0, 6.0], "large": [0.0, 3.0, 5.0, 6.0]},
            {"rank_correlation": -1.0, "area": 2 / 9},
        ),
    ],
}
