"""Short names under which the field knows its laws: a paper's nickname or first author, for one entry or several.

`isoloss.laws.get` and `isoloss.rules.get` take a short name that stands for one entry of theirs; ``isoloss laws NAME``
prints the cards of all that it stands for.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALIASES"]

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "adadagrad": ("norm_test", "inner_product_test", "coordinate_test"),
        "basic": ("basic_batch_gap",),
        "batchllm": ("prefix_sharing",),
        "besiroglu": ("chinchilla",),
        "bjorck": ("bjorck_lr",),
        "caballero": ("bnsl", "bnsl_2", "bnsl_3"),
        "clark": ("routed",),
        "conadv": ("adversarial_step",),
        "data_mixing": ("data_mixing_2", "data_mixing_3", "data_mixing_5"),
        "deepseek": ("deepseek_lr", "deepseek_batch", "deepseek_size", "deepseek_tokens"),
        "densing": ("densing_loss", "densing_score", "densing_growth", "capacity_density"),
        "dpa3": ("dpa3_N", "dpa3_D", "dpa3_ND"),
        "fine_line": ("curve_similarity",),
        "gadre": ("overtraining", "overtraining_error"),
        "henighan": ("henighan_size", "henighan_compute", "henighan_image", "henighan_optimal_size"),
        "hoffmann": ("chinchilla",),
        "isik": ("isik_score",),
        "kinetics": ("kinetics_cost",),
        "krajewski": ("moe_granularity", "moe_flops"),
        "kumar": ("precision", "precision_training", "precision_post_training", "precision_data_limit"),
        "ladder": ("ladder_task_loss", "ladder_accuracy", "ladder_chained"),
        "laion": ("laion_error", "laion_optimal_samples"),
        "languini": ("languini_trend", "languini_budget"),
        "ludziejewski": ("moe_joint", "moe_lr"),
        "marlin": ("marlin_roofline",),
        "mccandlish": ("gradient_noise_progress", "gradient_noise_lr", "gradient_noise_scale"),
        "minicpm": ("minicpm_batch",),
        "monkeys": ("coverage", "pass_at_k", "samples_for_coverage"),
        "mpl": ("multi_power",),
        "muennighoff": ("data_constrained",),
        "porian": ("porian_lr", "porian_batch"),
        "projektor": ("projektor_mixture", "projektor_projection"),
        "qqt": ("qqt_utility", "qqt_effective", "qqt_mixture", "qqt_best_pools"),
        "ruan": ("observational", "observational_compute", "capability_components"),
        "sardana": ("inference_optimum_N", "inference_optimum_D"),
        "scalekv": ("visual_cache",),
        "sorscher": ("perceptron_pruning", "best_keep_fraction", "free_keep_fraction"),
        "steplaw": ("steplaw_lr", "steplaw_batch"),
        "streambp": ("streambp_memory",),
        "su": ("su_size", "su_size_steps", "su_critical_batch", "su_hyperbola", "su_trajectory"),
        "tao": ("vocabulary",),
        "time_series": ("time_series_N", "time_series_D", "time_series_C"),
        "tissue": ("annealing",),
        "tts_var": ("tts_var_schedule", "resampling_weights"),
        "unmix_tns": ("statistics_half_life",),
        "world_model": ("in_and_out_of_distribution",),
        "zhang": ("steps_batch", "critical_batch_N"),
    }
)
"""Short names and the laws and rules that each stands for."""
