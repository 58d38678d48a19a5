"""Check points of the laws of whole loss curves; their columns are areas under schedules."""

from isoloss.inner import Inner

LAWS = {
    "annealing": {
        # 1 + 6 / sqrt(4) - 0.5 * 2
        "at": {"S1": 4.0, "S2": 2.0, "L0": 1.0, "A": 6.0, "alpha": 0.5, "C": 0.5},
        "value": 3.0,
        "truth": "refit_100m",
        "grid": {"S1": (0.6, 20.0, 12), "S2": [0.0, 0.05, 0.1, 0.2, 0.26]},
        "noise": 5e-4,
        "units": ["S1", "S2"],
    },
    "tissue+N": {
        # 1 + 6 / sqrt(4) + 8 / 16^0.25 - 0.5 * 2 * 16^0.5
        "at": {"S1": 4.0, "N": 16.0, "S2": 2.0}
        | {"L0": 1.0, "A": 6.0, "alpha": 0.5, "B": 8.0, "beta": 0.25, "C": 0.5, "r": 0.5},
        "value": 4.0,
        "truth": {"L0": 1.6, "A": 0.55, "alpha": 0.48, "B": 60.0, "beta": 0.22, "C": 0.05, "r": 0.12},
        "grid": {"S1": (0.6, 20.0, 10), "N": (25e6, 4e9, 6), "S2": [0.0, 0.05, 0.1, 0.2, 0.26]},
        "noise": 1e-4,
    },
    "multi_power": {
        # 1 + 6 / sqrt(4) - 2 (0.5 (1 - 1/sqrt(1 + 3)) - 0.25 (1 - 1/sqrt(1 + 3))); planted in test_multi_power
        "at": {
            "S1": 4.0,
            "k": Inner({"drop": [0.5, -0.25], "lr": [1.0, 1.0], "S": [1.0, 1.0]}, offsets=[0, 2]),
            "L0": 1.0,
            "A": 6.0,
            "alpha": 0.5,
            "B": 2.0,
            "C": 1.0,
            "beta": 0.5,
            "gamma": 0.65,
        },
        "value": 3.75,
    },
}
