"""Check points of the laws of the first twenty-one papers. Values are worked out by hand from round numbers."""

LAWS = {
    "overtraining": {
        # 1 + (4 * 3 + 18 / 3) / 2 with M = 9, C = 4, eta = 1/2
        "at": {"C": 4.0, "M": 9.0, "E": 1.0, "a": 4.0, "b": 18.0, "eta": 0.5},
        "value": 10.0,
        "truth": "rpj",
        "grid": {"C": (1e17, 1e22, 6), "M": (2.0, 600.0, 6)},
    },
    "overtraining_error": {
        # 0.9 - 2 / e^2 = 0.9 - 0.2706705664732254
        "at": {"L": 4.0, "epsilon": 0.9, "k": 2.0, "gamma": 0.5},
        "value": 0.6293294335267746,
        "truth": "rpj_17",
        "grid": {"L": [2.2 + 0.1 * i for i in range(30)]},
    },
    "steplaw_lr": {
        # 2 * 16^-0.5 * 9^0.5
        "at": {"N": 16.0, "D": 9.0, "c": 2.0, "alpha": -0.5, "beta": 0.5},
        "value": 1.5,
        "truth": "table2",
        "grid": {"N": (6e7, 1e9, 5), "D": (2e9, 1e11, 5)},
        "noise": 0.1,
    },
    "steplaw_batch": {
        "at": {"D": 16.0, "d": 3.0, "gamma": 0.75},
        "value": 24.0,
        "truth": "table2",
        "grid": {"D": (2e9, 1e11, 25)},
        "noise": 0.1,
    },
    "parscale": {
        # 1 + (200 / (100 (ln 1 + 1)))^2
        "at": {"N": 100.0, "P": 1.0, "E": 1.0, "A": 200.0, "alpha": 2.0, "k": 0.5},
        "value": 5.0,
        "truth": "pile_unrounded",
        "grid": {"N": (5e8, 1e11, 8), "P": [1.0, 2.0, 4.0, 8.0]},
        "noise": 0.001,
    },
    "henighan_size": {
        "at": {"N": 4.0, "L_inf": 2.0, "Nx": 16.0, "alpha": 0.5},
        "value": 4.0,
        "truth": "image_32x32",
        "grid": {"N": (1e4, 1e9, 30)},
    },
    "henighan_compute": {
        "at": {"C": 4.0, "L_inf": 2.0, "Cx": 16.0, "alpha": 0.5},
        "value": 4.0,
        "truth": "image_vq_16x16",
        "grid": {"C": (1e-8, 1e1, 30)},
    },
    "henighan_image": {
        # 600 + (10^6 / 1)^(1/3)
        "at": {"C": 1.0, "L_inf": 600.0, "C1": 1e6, "alpha": 1.0 / 3.0},
        "value": 700.0,
        "truth": "image_vq_16x16",
        "grid": {"C": (1e-8, 1e1, 30)},
    },
    "henighan_optimal_size": {
        "at": {"C": 16.0, "Cn": 1e-4, "beta": 0.75},
        # (1.6e5)^0.75 = 20^3
        "value": 8000.0,
        "truth": "image_16x16",
        "grid": {"C": (1e-6, 1e1, 20)},
        "noise": 0.05,
    },
    **{
        f"time_series_{x}": {
            "at": {x: 4.0, f"{x}x": 64.0, "alpha": 0.5},
            "value": 4.0,
            "truth": key,
            "grid": {x: (low, high, 25)},
        }
        for x, key, low, high in (
            ("N", "encoder_id", 1e3, 3e8),
            ("D", "encoder_id", 1e7, 1e10),
            ("C", "encoder_id", 1e-9, 1e-2),
        )
    },
    "laion_error": {
        # 3 (75 + 25)^-0.5 + 0.2
        "at": {"C": 75.0, "A": 3.0, "B": 25.0, "alpha": 0.5, "E_inf": 0.2},
        "value": 0.5,
        "truth": "clip_datacomp_imagenet",
        "grid": {"C": (1e7, 1e12, 40)},
    },
    "laion_optimal_samples": {
        "at": {"C": 16.0, "k": 3.0, "q": 0.75},
        "value": 24.0,
        "truth": {"k": 50.0, "q": 0.6},
        "grid": {"C": (1e8, 1e12, 20)},
        "noise": 0.05,
    },
    "basic_batch_gap": {
        "at": {"batch": 16.0, "g0": 0.5, "c": 2.0},
        "value": 1.0,
        "truth": {"g0": 0.2, "c": 12.0},
        "grid": {"batch": (256.0, 65536.0, 20)},
        "objective": "squared_raw",
    },
    "hestness": {
        "at": {"m": 16.0, "a": 2.0, "beta": -0.5, "g": 0.25},
        "value": 0.75,
        "truth": {"a": 3.0, "beta": -0.3, "g": 0.05},
        "grid": {"m": (1e3, 1e7, 30)},
    },
    "hestness_composite": {
        "at": {"m": 16.0, "a": 2.0, "beta": -0.5},
        "value": 0.5,
        "truth": {"a": 3.0, "beta": -0.128},
        "grid": {"m": (1e3, 1e7, 30)},
    },
    "hestness_regions": {
        "at": {"m": 16.0, "a": 2.0, "beta": -0.5, "g": 0.25, "guess": 0.9},
        "value": 0.75,
        "truth": {"a": 9.0, "beta": -0.3, "g": 0.05, "guess": 0.95},
        "grid": {"m": (1e2, 1e7, 40)},
    },
    **{
        name: {
            "at": {x: 4.0, "L_inf": 0.5, "a": 2.0},
            "value": 1.0,
            "truth": {"L_inf": 0.5, "a": 1e4},
            "grid": {x: (1e3, 1e6, 20)},
        }
        for name, x in (("variance_limited_data", "D"), ("variance_limited_width", "w"))
    },
    **{
        name: {
            "at": {x: 4.0, "a": 2.0, "alpha": 0.5},
            "value": 1.0,
            "truth": {"a": 30.0, "alpha": 0.3},
            "grid": {x: (1e3, 1e6, 20)},
        }
        for name, x in (("resolution_limited_data", "D"), ("resolution_limited_size", "N"))
    },
    "passuntil": {
        # exp(-10 / 100^0.5)
        "at": {"N": 100.0, "c": 10.0, "alpha": 0.5},
        "value": 0.36787944117144233,
        "truth": {"c": 3000.0, "alpha": 0.32},
        "grid": {"N": (3e7, 3e9, 24)},
        "noise": "pass",
        "objective": "binomial",
    },
    "nmt": {
        # 2 * 4^-0.5 * 16^-0.25 + 1
        "at": {"Ne": 4e8, "Nd": 16e8, "alpha": 2.0, "p_e": 0.5, "p_d": 0.25, "L_inf": 1.0},
        "value": 1.5,
        "truth": {"alpha": 0.9, "p_e": 0.2, "p_d": 0.3, "L_inf": 1.1},
        "grid": {"Ne": (1e7, 1e10, 6), "Nd": (1e7, 1e10, 6)},
    },
    "retrieval_loss": {
        # 1 + 2 + 3 - 0.5 ln 1
        "at": {
            "N": 100.0,
            "D": 1e4,
            "R": 0.0,
            "E": 1.0,
            "A": 20.0,
            "alpha": 0.5,
            "B": 300.0,
            "beta": 0.5,
            "G": 0.5,
            "Rx": 1e9,
        },
        "value": 6.0,
        "truth": {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37, "G": 0.02, "Rx": 1e9},
        "grid": {"N": (1e8, 1e10, 5), "D": (1e9, 1e12, 5), "R": [0.0, 1e9, 1e10, 1e11, 1e12]},
    },
    "projektor_mixture": {
        # (1/4 + 2/2 + 3/16 + 4/4 + 5) / 2 + 6/4 + 7/2 + 8/16 + 9/4 + 10 = 7.4375 / 2 + 17.75
        "at": {
            "p1": 0.5,
            "p2": 0.25,
            "OT": 0.5,
            "b2_1": 1.0,
            "b1_1": 2.0,
            "b2_2": 3.0,
            "b1_2": 4.0,
            "b0": 5.0,
            "c2_1": 6.0,
            "c1_1": 7.0,
            "c2_2": 8.0,
            "c1_2": 9.0,
            "c0": 10.0,
        },
        "value": 21.46875,
        "truth": {
            "b2_1": 0.02,
            "b1_1": -0.05,
            "b2_2": 0.03,
            "b1_2": -0.01,
            "b0": -0.04,
            "c2_1": -0.3,
            "c1_1": 0.4,
            "c2_2": -0.2,
            "c1_2": 0.3,
            "c0": 0.6,
        },
        "grid": {"p1": [0.0, 0.2, 0.4, 0.6], "p2": [0.0, 0.2, 0.4], "OT": [2.0, 3.0, 4.0, 5.0]},
        "objective": "squared_raw",
    },
    "qqt_utility": {
        # One epoch and a half of four samples: (4 / 16)^-0.5 + 0.5 times (6 / 4)^(-0.5 * 0.5)
        "at": {"x": 6.0, "n": 4.0, "a": 0.0625e5, "b": -0.5, "tau": 1.0, "d": 0.5},
        "value": 2.5 * 1.5**-0.25,
        "truth": "top_0_10",
        "grid": {"x": [12.8e6 * (1 + j / 2) for j in range(19)], "n": [12.8e6, 25.6e6]},
        "fixed": ("a", "d"),
        "units": (),
        "objective": "squared_raw",
    },
    "qqt_effective": {
        # (4 + 2 / 2) / 16 = 5 / 16 to the power -1/2, and 0.5
        "at": {"x": 6.0, "n": 4.0, "a": 0.0625e5, "b": -0.5, "tau": 1.0, "d": 0.5},
        "value": 3.2**0.5 + 0.5,
        "truth": "top_0_10",
        "grid": {"x": [12.8e6 * (1 + j / 2) for j in range(19)], "n": [12.8e6, 25.6e6]},
        "fixed": ("a", "d"),
        "units": (),
        "objective": "squared_raw",
    },
    "su_size": {
        "at": {"N": 1.0, "Nc": 16.0, "alpha_N": 0.5},
        "value": 4.0,
        "truth": {"Nc": 6.5e13, "alpha_N": 0.077},
        "grid": {"N": (1e6, 6e7, 12)},
    },
    "su_size_steps": {
        "at": {"N": 1.0, "Smin": 25.0, "Nc": 4.0, "alpha_N": 0.5, "Sc": 100.0, "alpha_S": 0.5},
        "value": 4.0,
        "truth": {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76},
        "grid": {"N": (1e6, 1e9, 6), "Smin": (1e3, 1e6, 10)},
    },
    "su_critical_batch": {
        "at": {"L": 2.0, "B_star": 64.0, "alpha_B": 0.25},
        "value": 4.0,
        "truth": "kaplan2020",
        "grid": {"L": (2.0, 7.0, 15)},
        "noise": 0.03,
    },
    "su_trajectory": {
        # (4 / 1)^0.5 + (1 * (1 + 24 / (2 * 4)) / 1)^0.5 = 2 + 2 with 1 / alpha_B = 1
        "at": {
            "N": 1.0,
            "S": 1.0,
            "batch": 2.0,
            "Nc": 4.0,
            "alpha_N": 0.5,
            "Sc": 1.0,
            "alpha_S": 0.5,
            "B_star": 24.0,
            "alpha_B": 1.0,
        },
        "value": 4.0,
        "truth": {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2100.0, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21},
        "grid": {"N": (1e6, 1e9, 4), "S": (3e3, 1e6, 10), "batch": (3e4, 3e7, 4)},
        "noise": 0.0005,
    },
    "su_hyperbola": {
        "at": {"batch": 4.0, "S_min": 10.0, "B_crit": 2.0},
        "value": 15.0,
        "truth": {"S_min": 5000.0, "B_crit": 1e6},
        "grid": {"batch": (1e4, 1e8, 12)},
        "noise": 0.03,
    },
}
