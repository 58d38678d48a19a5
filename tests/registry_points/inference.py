"""Check points of the inference-adjusted optimum."""

_SETTING = {"E": 1.0, "alpha": 0.5, "beta": 0.5, "B": 3.0}

LAWS = {
    # L - E = 12 and v = 3/4: N = (A / 9)^2 = 4, D = (3 / 3)^2 = 1, and D_inf = 3 (0.75 / 0.25 - 1) = 6
    "inference_optimum_N": {
        "at": {"L": 13.0, "D_inf": 6.0, "A": 18.0, **_SETTING},
        "value": 4.0,
        "rel": 1e-8,
        "truth": "sardana2024",
        "grid": {"L": (1.9, 2.6, 8), "D_inf": (1e10, 1e14, 8)},
    },
    "inference_optimum_D": {
        "at": {"L": 13.0, "D_inf": 6.0, **_SETTING},
        "value": 1.0,
        "rel": 1e-8,
        "truth": "sardana2024",
        "grid": {"L": (1.9, 2.6, 8), "D_inf": (1e10, 1e14, 8)},
    },
}
