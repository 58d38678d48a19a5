"""Check points: hyper-parameters, batch size, vocabulary, mixtures, tasks, repeated sampling, density, other models."""

LN2 = 0.6931471805599453


def _power(x, truth, grid, k=2.0, p=0.5, value=8.0, noise=0.02):
    """2 * 16^0.5 or 8 * 16^-0.5."""
    return {"at": {x: 16.0, "k": k, "p": p}, "value": value, "truth": truth, "grid": {x: grid}, "noise": noise}


_FALLING = {"k": 8.0, "p": -0.5, "value": 2.0}
_LADDER = {"A": 4.0, "alpha": 0.5, "B": 4.0, "beta": 0.5, "E": 1.0}

LAWS = {
    "deepseek_lr": _power("C", "bi2024", (1e17, 1e22, 20), **_FALLING),
    "deepseek_batch": _power("C", "bi2024", (1e17, 1e22, 20)),
    "deepseek_size": _power("C", "bi2024", (1e17, 1e22, 20)),
    "deepseek_tokens": _power("C", "bi2024", (1e17, 1e22, 20)),
    "minicpm_batch": {
        "at": {"L": 2.0, "k": 8.0, "p": -3.0},
        "value": 1.0,
        "truth": "hu2024",
        "grid": {"L": (2.0, 5.0, 20)},
        "noise": 0.02,
    },
    "porian_lr": _power("N", "porian2024", (5e6, 1e9, 20), **_FALLING),
    "porian_batch": _power("N", "porian2024", (5e6, 1e9, 20)),
    "kaplan_lr": {
        "at": {"N": 2.718281828459045, "a": 3.0, "b": -1.0},
        "value": 2.0,
        "truth": "kaplan2020",
        "grid": {"N": (1e6, 1e9, 20)},
        "noise": 0.02,
        "units": ["N"],
    },
    "bjorck_lr": {
        # 8 / 4^0.5 / 16^0.25
        "at": {"N": 4e9, "D": 16e9, "c": 8.0, "a": 0.5, "b": 0.25},
        "value": 2.0,
        "truth": "bjorck2025",
        "grid": {"N": (8e8, 7e9, 5), "D": (2e10, 1e12, 5)},
        "noise": 0.02,
    },
    "gradient_noise_progress": {
        "at": {"batch": 1.0, "dL_max": 6.0, "B_noise": 2.0},
        "value": 2.0,
        "truth": {"dL_max": 0.1, "B_noise": 1e5},
        "grid": {"batch": (1e3, 1e7, 20)},
    },
    "gradient_noise_lr": {
        "at": {"batch": 1.0, "lr_max": 6.0, "B_noise": 2.0},
        "value": 2.0,
        "truth": {"lr_max": 0.1, "B_noise": 1e5},
        "grid": {"batch": (1e3, 1e7, 20)},
    },
    "steps_batch": {
        "at": {"batch": 4.0, "a": 2.0, "b": 12.0},
        "value": 5.0,
        "truth": "zhang2024_85M",
        "grid": {"batch": (64, 16384, 9)},
    },
    "critical_batch_N": {
        "at": {"N": 4e6, "d": 3.0, "k": 0.5},
        "value": 6.0,
        "truth": "zhang2024",
        "grid": {"N": (8.5e7, 1.2e9, 10)},
    },
    "vocabulary": {
        # f(1) = 1.20470122; -1 + 2 / 2 + 3 / 1 + 2 / 2
        "at": {"N_nv": 4e6, "V": 1.0, "d": 1e6, "H": 4e9 / 1.20470122, "E": 1.0, "A1": 2.0, "beta": 0.5, "A2": 3.0}
        | {"a2": 0.5, "B": 2.0},
        "value": 4.0,
        "truth": "tao2024",
        "grid": {"N_nv": (3.3e7, 1.1e9, 5), "V": (4e3, 1e5, 5), "d": [512, 1024, 2048], "H": (1e9, 5e10, 5)},
        "objective": "squared_raw",
        "noise": 2e-4,
    },
    **{f"vocabulary_{x}": _power("C", "tao2024", (1e18, 1e22, 20)) for x in ("N_nv", "N_v", "H")},
    "vocabulary_rule": {
        "at": {"N_nv": 132e6, "N_v0": 3.0, "g": 0.5},
        "value": 6.0,
        "truth": "tao2024",
        "grid": {"N_nv": (3e7, 1e10, 20)},
    },
    "data_mixing_2": {
        # 1 + 2 exp(ln 2 + ln 2)
        "at": {"r1": 0.5, "r2": 0.5, "c": 1.0, "k": 2.0, "t1": 2 * LN2, "t2": 2 * LN2},
        "value": 9.0,
        "truth": {"c": 2.0, "k": 1.0, "t1": -2.0, "t2": 0.5},
        "grid": {"r1": [0.1, 0.3, 0.5, 0.7], "r2": [0.1, 0.2, 0.5, 0.8]},
    },
    "data_mixing_3": {
        "at": {"r1": 0.5, "r2": 0.25, "r3": 0.25, "c": 1.0, "k": 2.0, "t1": 2 * LN2, "t2": 4 * LN2, "t3": 0.0},
        "value": 9.0,
        "truth": {"c": 2.0, "k": 1.0, "t1": -2.0, "t2": 0.5, "t3": 1.0},
        "grid": {"r1": [0.1, 0.3, 0.6], "r2": [0.1, 0.2, 0.5], "r3": [0.1, 0.4, 0.8]},
    },
    "data_mixing_5": {
        "at": {"r1": 0.5, "r2": 0.25, "r3": 0.25, "r4": 0.0, "r5": 0.0, "c": 1.0, "k": 2.0}
        | {"t1": 2 * LN2, "t2": 4 * LN2, "t3": 0.0, "t4": 3.0, "t5": 3.0},
        "value": 9.0,
        "truth": "ye2024_prose",
        "grid": {f"r{i}": [0.05, 0.2, 0.5] for i in range(1, 6)},
    },
    "isik_score": {
        # (2 ln e^2)^0.5
        "at": {"D": 7.38905609893065, "A": 1.0, "alpha": 2.0, "beta": 0.5},
        "value": 2.0,
        "truth": {"A": 0.01, "alpha": 0.3, "beta": 2.0},
        "grid": {"D": (1e7, 1e12, 40)},
        "fixed": ("beta",),  # with A and beta both free the two are one within the data
    },
    "ladder_task_loss": {
        "at": {"N": 16.0, "D": 16.0, **_LADDER},
        "value": 3.0,
        "truth": "bhagia2024_hellaswag",
        "grid": {"N": (1.9e8, 1.3e10, 6), "D": (4e9, 4e12, 6)},
        "noise": 5e-4,
    },
    "ladder_accuracy": {
        "at": {"L_task": 1.0, "a": -0.6, "k": 1.0, "L0": 1.0, "b": 1.0},
        "value": 0.7,
        "truth": "bhagia2024_hellaswag",
        "grid": {"L_task": (0.4, 1.5, 60)},
        "objective": "squared_raw",
    },
    "ladder_chained": {
        "at": {"N": 16.0, "D": 16.0, **_LADDER, "a": -0.6, "k": 1.0, "L0": 3.0, "b": 1.0},
        "value": 0.7,
        "truth": "bhagia2024_hellaswag",
        "grid": {"N": (1.9e8, 1.3e10, 8), "D": (4e9, 4e12, 8)},
        "objective": "squared_raw",
        "fixed": ("E", "L0", "k", "b"),
        "noise": 5e-4,
    },
    "loss_to_loss": {
        # 2 (3 - 1)^2 + 1
        "at": {"L0": 3.0, "K": 2.0, "E0": 1.0, "kappa": 2.0, "E1": 1.0},
        "value": 9.0,
        "truth": {"K": 1.1, "E0": 1.7, "kappa": 0.9, "E1": 1.2},
        "grid": {"L0": (2.0, 4.5, 40)},
        "fixed": ("E0",),  # from a fit of the first loss alone
    },
    "observational": {
        # 1 - 1 + 2 - 2 = 0
        "at": {"S1": -1.0, "S2": 1.0, "S3": 2.0, "h": 0.2, "w0": 1.0, "w1": 1.0, "w2": 2.0, "w3": -1.0},
        "value": 0.6,
        "truth": {"h": 0.1, "w0": -0.5, "w1": 1.2, "w2": 0.4, "w3": -0.3},
        "grid": {"S1": [-3, -1, 0, 1, 3], "S2": [-1, 0, 1], "S3": [-1, 0, 1]},
        "objective": "squared_raw",
    },
    "observational_compute": {
        "at": {"C": 20.085536923187668, "theta": 2.0, "nu": 1.0},
        "value": 7.0,
        "truth": {"theta": 0.4, "nu": -17.0},
        "grid": {"C": (1e21, 1e25, 20)},
        "objective": "squared_raw",
    },
    "coverage": {
        "at": {"k": 4.0, "a": -1.0, "b": -0.5},
        "value": 0.6065306597126334,
        "truth": {"a": -4.0, "b": -0.3},
        "grid": {"k": (1, 1e4, 40)},
        "objective": "squared_raw",
    },
    "densing_loss": {
        "at": {"N": 16.0, "D": 9.0, "a": 2.0, "alpha": 0.5, "b": 3.0, "beta": 0.5},
        "value": 1.5,
        "truth": {"a": 8.0, "alpha": 0.1, "b": 60.0, "beta": 0.2},
        "grid": {"N": (5e6, 8e8, 6), "D": (1e8, 5e10, 6)},
    },
    "densing_score": {
        "at": {"L": 2.0, "c": 0.5, "gamma": -1.0, "l": 2.0, "d": 0.25},
        "value": 0.5,
        "truth": {"c": 0.6, "gamma": -4.0, "l": 1.0, "d": 0.25},
        "grid": {"L": (0.2, 2.5, 40)},
        "objective": "squared_raw",
    },
    "densing_growth": {
        "at": {"t": 2 * LN2, "A": 0.5},
        "value": 2.0,
        "truth": "xiao2024",
        "grid": {"t": [30 * i for i in range(1, 20)]},
        "noise": 0.02,
    },
    **{
        f"dpa3_{x}": {
            "at": {x: 16.0, "x0": 4.0, "p": 0.5},
            "value": 0.5,
            "truth": "dpa3",
            "grid": {x: grid},
            "units": [x],
        }
        for x, grid in (("N", (1e6, 3e6, 20)), ("D", (3e6, 2e7, 20)), ("ND", (3e12, 6e13, 20)))
    },
    **{
        f"text_to_image_{x}": {
            "at": {x: 16.0, "a": 0.5, "b": 0.25},
            "value": 1.0,
            "truth": {"a": 0.1, "b": 0.1},
            "grid": {x: (1e7, 1e9, 20)},
        }
        for x in ("N", "C", "D")
    },
    "languini_trend": {
        "at": {"h": 16.0, "a": 32.0, "b": 0.5},
        "value": 8.0,
        "truth": {"a": 30.0, "b": 0.12},
        "grid": {"h": (6, 96, 15)},
        "units": ["h"],
    },
    "power_scheduler": {
        # min(5, 2 * 3 / 4^0.5)
        "at": {"batch": 2.0, "D": 4.0, "lr_max": 5.0, "a": 3.0, "b": -0.5},
        "value": 3.0,
        "truth": {"lr_max": 0.02, "a": 4.0, "b": -0.51},
        "grid": {"batch": [128, 256, 512, 1024], "D": (1e8, 1e13, 20)},
    },
}
