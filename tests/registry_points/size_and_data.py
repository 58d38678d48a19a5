"""Check points: Kaplan's laws, repeats, breaks, coupled laws, Farseer, precision, experts, baselines."""

import math

LN2 = 0.6931471805599453
SQRT6 = 2.449489742783178
PF_DAY = 8.64e19

_SIZES = (1e7, 1e10, 6)
_TOKENS = (1e9, 1e12, 6)
_PLANE = {"N": _SIZES, "D": _TOKENS}
_CHINCHILLA = {"E": 1.7, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.37}


def _bnsl(breaks, x, low, high, truth, noise=2e-4):
    """At x = d every factor is 2^(-c f) = 1/2; 1 + 2 / 4^0.5 / 2^breaks."""
    own = {f"{name}{i}": value for i in range(1, breaks + 1) for name, value in (("c", 1.0), ("d", 4.0), ("f", 1.0))}
    return {
        "at": {x: 4.0, "a": 1.0, "b": 2.0, "c0": 0.5, **own},
        "value": 1.0 + 0.5**breaks,
        "truth": truth,
        "grid": {x: (low, high, 160)},
        "noise": noise,
        # The names of several breaks are interchangeable; the places that settle them have the unit of x.
        **({"fixed": tuple(f"d{i}" for i in range(1, breaks)), "units": []} if breaks > 1 else {}),
    }


_BREAKS = {
    "C": {"a": 1.5, "b": 400.0, "c0": 0.12, "c1": 0.1, "d1": 1e20, "f1": 0.4},
    "N": {"a": 1.5, "b": 30.0, "c0": 0.15, "c1": 0.25, "d1": 5e8, "f1": 0.3},
    "D": {"a": 0.5, "b": 3.0, "c0": 0.05, "c1": 1.5, "d1": 1e10, "f1": 0.2},
}
_TWO = {"a": 1.0, "b": 6.0, "c0": 0.05, "c1": 0.6, "d1": 1e9, "f1": 0.2, "c2": -0.4, "d2": 1e11, "f2": 0.2}
_THREE = {
    "a": 1.0,
    "b": 6.0,
    "c0": 0.05,
    "c1": 0.6,
    "d1": 1e8,
    "f1": 0.15,
    "c2": -0.55,
    "d2": 1e10,
    "f2": 0.15,
    "c3": 0.6,
    "d3": 1e12,
    "f3": 0.15,
}

_REPEATS = {"N": (1e8, 1e10, 4), "D": (1e10, 1e12, 5), "U": [5e9, 2e10, 1e11]}
_BITS = {"P_w": 2 * LN2, "P_a": LN2, "P_kv": LN2, "g_w": 2.0, "g_a": 1.0, "g_kv": 1.0}
_EXPERTS = {"Es": 1.5, "Em": 300.0}

LAWS = {
    "kaplan_N": {
        "at": {"N": 1.0, "Nc": 16.0, "alpha_N": 0.25},
        "value": 2.0,
        "truth": "kaplan2020",
        "grid": {"N": (1e5, 1e10, 30)},
    },
    "kaplan_D": {
        "at": {"D": 1.0, "Dc": 16.0, "alpha_D": 0.25},
        "value": 2.0,
        "truth": "kaplan2020",
        "grid": {"D": (1e7, 1e11, 30)},
    },
    "kaplan_C": {
        "at": {"C": PF_DAY, "Cc": 16.0, "alpha_C": 0.25},
        "value": 2.0,
        "truth": "kaplan2020",
        "grid": {"C": (1e15, 1e22, 30)},
    },
    "kaplan_NS": {
        # 16^0.25 + 9^0.5
        "at": {"N": 1.0, "S": 1.0, "Nc": 16.0, "alpha_N": 0.25, "Sc": 9.0, "alpha_S": 0.5},
        "value": 5.0,
        "truth": "kaplan2020",
        "grid": {"N": (1e6, 1e10, 6), "S": (1e3, 3e5, 6)},
    },
    "kaplan_batch": {
        # 32 / 2^2
        "at": {"L": 2.0, "Bs": 32.0, "alpha_B": 0.5},
        "value": 8.0,
        "truth": "kaplan2020",
        "grid": {"L": (2.0, 5.0, 30)},
        "noise": 0.02,
    },
    "kaplan_optimal_N": {
        "at": {"C": 4 * PF_DAY, "Ne": 3.0, "p": 0.5},
        "value": 6.0,
        "truth": "kaplan2020",
        "grid": {"C": (1e15, 1e22, 30)},
        "noise": 0.02,
    },
    "data_constrained": {
        # G = 1, so U_N = U; 1 + ln 2 epochs with R = 1 are worth 1.5; 1 + 6^0.5 / 6^0.5 twice
        "at": {
            "U": 4.0,
            "D": 4 * (1 + LN2),
            "N": 4 * (1 + LN2),
            "E": 1.0,
            "A": SQRT6,
            "B": SQRT6,
            "alpha": 0.5,
            "beta": 0.5,
            "R_D": 1.0,
            "R_N": 1.0,
        },
        "value": 3.0,
        "truth": "muennighoff2023",
        "grid": _REPEATS,
    },
    "data_constrained_data_only": {
        "at": {
            "U": 4.0,
            "D": 4 * (1 + LN2),
            "N": 4.0,
            "E": 1.0,
            "A": 2.0,
            "B": SQRT6,
            "alpha": 0.5,
            "beta": 0.5,
            "R_D": 1.0,
        },
        "value": 3.0,
        "truth": "muennighoff2023",
        "grid": _REPEATS,
    },
    "data_constrained_size_only": {
        "at": {
            "U": 4.0,
            "D": 6.0,
            "N": 4 * (1 + LN2),
            "E": 1.0,
            "A": SQRT6,
            "B": SQRT6,
            "alpha": 0.5,
            "beta": 0.5,
            "R_N": 1.0,
        },
        "value": 3.0,
        "truth": {**_CHINCHILLA, "R_N": 5.0},
        "grid": _REPEATS,
    },
    "data_constrained_geometric": {
        # two epochs at d = 1/2 are worth (1 - 1/4) / (1/2) = 1.5
        "at": {"U": 4.0, "D": 8.0, "N": 8.0, "E": 1.0, "A": SQRT6, "B": SQRT6, "alpha": 0.5, "beta": 0.5}
        | {"d": 0.5, "n": 0.5},
        "value": 3.0,
        "truth": "muennighoff2023",
        "grid": _REPEATS,
    },
    "bnsl": _bnsl(1, "C", 1e17, 1e24, _BREAKS["C"]),
    "bnsl_N": _bnsl(1, "N", 1e6, 1e11, _BREAKS["N"]),
    "bnsl_D": _bnsl(1, "D", 1e8, 1e12, _BREAKS["D"]),
    "bnsl_2": _bnsl(2, "C", 1e6, 1e14, _TWO),
    "bnsl_2_D": _bnsl(2, "D", 1e6, 1e14, _TWO),
    "bnsl_3": _bnsl(3, "C", 1e5, 1e15, _THREE),
    "bnsl_3_D": _bnsl(3, "D", 1e5, 1e15, _THREE),
    "skaling": {
        # 1 + (2 + 2)^0.5
        "at": {"N": 16.0, "D": 9.0, "E": 1.0, "A": 8.0, "alpha": 0.5, "B": 6.0, "beta": 0.5, "k": 0.5},
        "value": 3.0,
        "truth": {"E": 1.7, "A": 5000.0, "alpha": 0.5, "B": 9e4, "beta": 0.55, "k": 0.6},
        "grid": _PLANE,
        "noise": 2e-4,
    },
    "log_bilinear": {
        "at": {"N": 2.718281828459045, "D": 2.718281828459045, "N0": 1.0, "D0": 1.0}
        | {"a": 3 * LN2, "b": -0.5, "c": -0.5, "g": 1.0},
        "value": 8.0,
        "truth": {"a": 1.1, "b": -0.05, "c": -0.06, "g": 0.004},
        "grid": {"N": (1e7, 1e10, 7), "D": (1e9, 1e12, 7)},
    },
    "average_parameters": {
        "at": {"Nbar": 16.0, "D": 16.0, "E": 1.0, "A": 4.0, "alpha": 0.5, "B": 4.0, "beta": 0.5},
        "value": 3.0,
        "truth": _CHINCHILLA,
        "grid": {"Nbar": _SIZES, "D": _TOKENS},
        "units": ["Nbar", "D"],
    },
    "algorithmic_progress": {
        # 4 parameters of 2020 do the work of 16 a year later
        "at": {"N": 4.0, "D": 16.0, "Y": 2021.0, "Y0": 2020.0, "E": 1.0, "A": 4.0, "alpha": 0.5, "B": 4.0, "beta": 0.5}
        | {"g_N": 2 * LN2, "g_D": 0.0},
        "value": 3.0,
        "truth": {**_CHINCHILLA, "g_N": 0.4, "g_D": 0.3},
        "grid": {"N": (1e7, 1e10, 5), "D": (1e9, 1e12, 5), "Y": [2015.0, 2018.0, 2021.0, 2024.0]},
    },
    "embedding_parameters": {
        "at": {"N": 8.0, "w": 3.0},
        "value": 14.0,
        "truth": "pearce2024",
        "grid": {"N": (1e6, 1e9, 20)},
        "units": [],  # the cube root fixes the unit
    },
    "farseer": {
        # four times N0 and D0 squared: powers 2, 2 and 1, so half the floor, and three times the data term
        "at": {
            "N": 4e9,
            "D": 4e20,
            "E0": 4.0,
            "e": LN2 / 2,
            "gamma": 0.5,
            "T0": 1.0,
            "t": LN2 / 2 * math.log(2e10) + math.log(3.0),
            "beta": -0.5,
            "A0": 1.0,
            "a": LN2 / 2,
            "alpha": 0.5,
        },
        "value": 5.0,
        "truth": "li2025_printed",
        "grid": {"N": (2e8, 6.4e9, 11), "D": (2e9, 2e11, 14)},
        "noise": 1e-4,
        "units": [],  # N0 and D0 are a size and a number of tokens
    },
    "farseer_printed": {
        # exp(-4 + 4) + 4 * 4^-0.5
        "at": {
            "N": 16.0,
            "D": 4.0,
            "a3": -1.0,
            "gamma": 0.5,
            "b3": 4.0,
            "a2": 2.0,
            "beta": -0.5,
            "b2": 2 * LN2 - 1.0 / 2,
        }
        | {"a1": -1.0, "alpha": 0.25, "b1": 2.0 - LN2},
        "value": 3.0,
        "truth": "li2025",
        "grid": {"N": (2e8, 6.4e9, 11), "D": (2e9, 2e11, 14)},
        "noise": 1e-5,
        "units": [],  # a power of N inside an exponential fixes the unit
    },
    "precision_effective_share": {
        "at": _BITS,
        "value": 0.125,
        "truth": "kumar2024",
        "grid": {"P_w": [3, 4, 6, 8, 12], "P_a": [3, 4, 6, 8, 12], "P_kv": [3, 4, 8]},
    },
    "precision_training": {
        # N_eff = 128 / 8: 1 + 8 / 4 + 9 / 3
        "at": {"N": 128.0, "D": 9.0, "E": 1.0, "A": 8.0, "alpha": 0.5, "B": 9.0, "beta": 0.5, **_BITS},
        "value": 6.0,
        "truth": {**_CHINCHILLA, "g_w": 2.7, "g_a": 2.2, "g_kv": 1.0},
        "grid": {"N": (3e7, 1e9, 4), "D": (1e9, 3e10, 4), "P_w": [3, 6, 12], "P_a": [3, 6, 12], "P_kv": [2, 4, 12]},
    },
    "precision_post_training": {
        # 4 * 2 / 4 / 2
        "at": {"N": 16.0, "D": 4.0, "P_post": LN2, "C_T": 4.0, "g_D": 0.5, "g_N": 0.5, "g_post": 1.0},
        "value": 1.0,
        "truth": {"C_T": 0.06, "g_D": 0.5, "g_N": 0.34, "g_post": 0.6},
        "grid": {"N": (3e7, 1e9, 5), "D": (1e9, 3e10, 5), "P_post": [3, 4, 6]},
    },
    "precision": {
        # 1 + 8 / 4 + 9 / 3 + 4 * 3 / 2
        "at": {"N": 128.0, "D": 9.0, "E": 1.0, "A": 8.0, "alpha": 0.5, "B": 9.0, "beta": 0.5, **_BITS}
        | {"P_post": LN2, "C_T": 4.0, "g_D": 0.5, "g_N": 0.0, "g_post": 1.0},
        "value": 12.0,
        "truth": {
            **_CHINCHILLA,
            "g_w": 2.7,
            "g_a": 2.2,
            "g_kv": 1.0,
            "C_T": 2.0,
            "g_D": 0.5,
            "g_N": 0.34,
            "g_post": 0.6,
        },
        "grid": {
            "N": (3e7, 1e9, 3),
            "D": (1e9, 3e10, 3),
            "P_w": [3, 6, 12],
            "P_a": [3, 12],
            "P_kv": [2, 4, 12],
            "P_post": [3, 4, 16],
        },
    },
    "routed": {
        # one expert counts Es = 10: -0.2 - 0.1 + 0.1 + 1.2 = 1
        "at": {"N": 100.0, "experts": 1.0, "a": -0.1, "b": -0.1, "c": 0.05, "d": 1.2, "Es": 10.0, "Em": 100.0},
        "value": 10.0,
        "truth": "clark2022_rlr_refit",
        "grid": {"N": (1.5e7, 1.3e9, 6), "experts": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]},
    },
    "moe_granularity": {
        # 1 + (2 / 2 + 3) / 4 + 4 / 4
        "at": {"N": 16.0, "D": 16.0, "G": 4.0, "c": 1.0, "g": 2.0, "gamma": 0.5, "a": 3.0, "alpha": 0.5}
        | {"b": 4.0, "beta": 0.5},
        "value": 3.0,
        # Of the published set g hardly counts, 1 % of the loss: no noise leaves it to be found.
        "truth": {"c": 1.6, "g": 100.0, "gamma": 0.58, "a": 300.0, "alpha": 0.33, "b": 900.0, "beta": 0.33},
        "grid": {"N": (1e8, 1e10, 5), "D": (1e10, 1e12, 5), "G": [1, 2, 4, 8, 16]},
    },
    "moe_joint": {
        # one expert counts e: 2 * 16^-0.5 + 3 * 9^-0.5 + 1
        "at": {"N": 16.0, "D": 9.0, "experts": 1.0, "m": 1.0, "delta": LN2, "alpha": -0.6, "gamma": 0.1}
        | {"n": 3.0, "omega": 0.0, "beta": -0.25, "zeta": -0.25, "c": 1.0, "Es": 2.718281828459045, "Em": 100.0},
        "value": 2.5,
        "truth": "ludziejewski2025",
        "grid": {"N": (1e8, 3e9, 4), "D": (1e10, 3e11, 4), "experts": [1, 2, 4, 8, 32, 128]},
        "noise": 2e-4,
        "fixed": ("Es", "Em"),  # as the authors take them from Clark et al.
    },
    "moe_lr": {
        # e^0 16^-0.5 4^-0.5
        "at": {"N": 16.0, "experts": 4.0, "k": 0.0, "p": -0.5, "q": -0.5},
        "value": 0.125,
        "truth": "ludziejewski2025",
        "grid": {"N": (1e7, 1e9, 6), "experts": [1, 8]},
    },
    "optimal_N": {
        "at": {"C": 96.0, "G": 2.0, "a": 0.5},
        "value": 8.0,
        "truth": "hoffmann2022_approach3",
        "grid": {"C": (1e18, 1e22, 20)},
        "noise": 0.02,
    },
    "log_linear": {
        # 2 / 4^0.5 / 16^0.5
        "at": {"N": 4.0, "D": 16.0, "a": LN2, "b_N": -0.5, "b_D": -0.5},
        "value": 0.25,
        "truth": {"a": 4.0, "b_N": -0.05, "b_D": -0.07},
        "grid": _PLANE,
    },
    **{
        f"log_linear_{x}": {
            "at": {x: 16.0, "a": 3 * LN2, f"b_{x}": -0.5},
            "value": 2.0,
            "truth": {"a": 3.0, f"b_{x}": -0.06},
            "grid": {x: (1e8, 1e12, 20)},
        }
        for x in ("N", "D", "C")
    },
}
