"""Check points of the compute-optimal family and of model scaling."""

LAWS = {
    "chinchilla": {
        # 1 + 20 / 10 + 300 / 100
        "at": {"N": 100.0, "D": 1e4, "E": 1.0, "A": 20.0, "alpha": 0.5, "B": 300.0, "beta": 0.5},
        "value": 6.0,
        "truth": "besiroglu2024",
        "grid": {"N": (1e7, 1e10, 6), "D": (1e8, 1e12, 6)},
    },
    "kaplan": {
        # (sqrt(16) + 12)^0.5
        "at": {"N": 1.0, "D": 1.0, "Nc": 16.0, "alpha_N": 0.25, "Dc": 12.0, "alpha_D": 0.5},
        "value": 4.0,
        "truth": "kaplan2020",
        "grid": {"N": (1e6, 1e11, 6), "D": (1e8, 1e12, 6)},
        "noise": 5e-4,
    },
    **{
        f"power_law_{x}": {
            "at": {x: 16.0, "E": 2.0, "A": 8.0, "alpha": 0.25},
            "value": 6.0,
            "truth": {"E": 1.8, "A": amplitude, "alpha": alpha},
            "grid": {x: (low, high, 30)},
        }
        for x, low, high, amplitude, alpha in (
            ("N", 1e7, 1e11, 480.0, 0.35),
            ("D", 1e8, 1e13, 2100.0, 0.37),
            ("C", 1e17, 1e25, 1400.0, 0.17),
        )
    },
}

RULES = {
    "compound_scaling": [
        # 4^0.1, 4^0.4, 4^0.05, 4^0.9, 4^0.6
        (
            ("fast", {"s": 4.0}),
            {"depth": 1.148698, "width": 1.741101, "resolution": 1.071773, "params": 3.482202, "activations": 2.297397},
            1e-6,
        ),
        (("width_only", {"s": 4.0}), {"depth": 1.0, "width": 2.0, "resolution": 1.0, "activations": 2.0}),
        ({"s": 64.0, "e_w": 1 / 3, "e_r": 1 / 3}, {"depth": 4.0, "width": 2.0, "resolution": 2.0, "params": 16.0}),
    ],
}
