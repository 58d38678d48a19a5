r"""Time and memory of training and serving: kernels, shared prefixes, backpropagation and caches.

None of these papers states a fitted law; each has one honest formula.

* MARLIN: a linear layer with weights of few bits is bound by memory for small batches and by arithmetic for large ones.
* BatchLLM: requests that share a prefix compute it once.
* StreamBP: backpropagation layer by layer in chunks of the sequence keeps only the checkpoints whole.
* ScaleKV: the cache of a visual autoregressive model holds all scales so far, or a fixed budget of tokens.
* ConAdv: adversarial training needs two gradients one after the other, or at once with stale ones.
* UnMix-TNS: running statistics forget with a half-life.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.law.parts import Published, Source
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["ENTRIES", "Backpropagation", "Roofline", "SharedPrefix", "Steps", "VisualCache"]

MARLIN = Source(
    "MARLIN: Mixed-Precision Auto-Regressive Parallel Inference on Large Language Models",
    "2408.11743",
    "Frantar et al.",
    2024,
)
BATCHLLM = Source(
    "BatchLLM: Optimizing Large Batched LLM Inference with Global Prefix Sharing and Throughput-oriented Token "
    "Batching",
    "2412.03594",
    "Zheng et al.",
    2024,
)
STREAMBP = Source(
    "StreamBP: Memory-Efficient Exact Backpropagation for Long Sequence Training of LLMs",
    "2506.03077",
    "Luo et al.",
    2025,
)
SCALEKV = Source(
    "Memory-Efficient Visual Autoregressive Modeling with Scale-Aware KV Cache Compression",
    "2505.19602",
    "Li et al.",
    2025,
)
CONADV = Source("Concurrent Adversarial Learning for Large-Batch Training", "2106.00221", "Liu et al.", 2021)
UNMIX = Source(
    "Un-Mixing Test-Time Normalization Statistics: Combatting Label Temporal Correlation",
    "2401.08328",
    "Tomar et al.",
    2024,
)

_FAMILY = "systems"
_SIDES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
"""Sides of the scales of Infinity for a square image of a million pixels."""


class Roofline(NamedTuple):
    """A linear layer on a roofline."""

    seconds: Any
    speedup: Any
    ideal_speedup: Any
    memory_bound_to: Any


def _marlin(K: Any, M: Any, B: Any, flops: Any, bandwidth: Any, bits: Any, group: Any) -> Roofline:
    per_weight = (bits + 16.0 / group) / 8.0
    arithmetic = 2.0 * B * K * M / flops
    activations = 2.0 * B * (K + M)
    seconds = np.maximum(arithmetic, (K * M * per_weight + activations) / bandwidth)
    half = np.maximum(arithmetic, (2.0 * K * M + activations) / bandwidth)
    return Roofline(seconds, half / seconds, 2.0 / per_weight, flops / bandwidth * per_weight / 2.0)


def marlin_roofline() -> Rule:
    """Time of a layer with few-bit weights.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("marlin_roofline")("marlin", K=4096, M=4096, B=1, flops=1e14, bandwidth=1e12).speedup, 2)
    3.87
    """
    return Rule(
        name="marlin_roofline",
        family=_FAMILY,
        formula=(
            "b_w = (bits + 16 / group) / 8",
            "seconds = max(2 * B * K * M / flops, (K * M * b_w + 2 * B * K + 2 * B * M) / bandwidth)",
            "memory_bound_to = flops / bandwidth * b_w / 2",
        ),
        gives="seconds; speed-up over 16-bit weights, and its ideal 16 / (bits + 16 / group); largest memory-bound "
        "batch",
        function=_marlin,
        variables={
            "K": Quantity("features", "inputs of the layer"),
            "M": Quantity("features", "outputs of the layer"),
            "B": Quantity("tokens", "batch"),
            "flops": Quantity("FLOP/s", "peak arithmetic of the device"),
            "bandwidth": Quantity("byte/s", "peak memory bandwidth of the device"),
        },
        parameters={
            "bits": Quantity("bits", "of a weight"),
            "group": Quantity("weights", "that share a scale of 16 bits"),
        },
        source=MARLIN,
        states_law=False,
        notes=(
            "A roofline: real kernels reach a share of it. The formula restates the read-me.",
            (
                "Devices have 100 to 200 FLOPs per byte, so four bits stay memory-bound to a batch of 26 to 52; the "
                "read-me "
                "says near-ideal to 16 to 32, falling gains to 64 to 128."
            ),
        ),
        published={
            "marlin": Published({"bits": 4.0, "group": 128.0}, "github.com/IST-DASLab/marlin, read-me and bench.py")
        },
    )


class SharedPrefix(NamedTuple):
    """What sharing prefixes saves."""

    saved: Any
    tokens: Any
    tokens_alone: Any
    decode_ratio: Any


def _prefix(prefix: Any, requests: Any, suffix: Any, decode: Any) -> SharedPrefix:
    prefix, requests, suffix, decode = np.broadcast_arrays(prefix, requests, suffix, decode)
    shared = float(np.sum(prefix + suffix))
    alone = float(np.sum(requests * prefix + suffix))
    return SharedPrefix(1.0 - shared / alone, shared, alone, decode / (prefix + suffix))


def prefix_sharing() -> Rule:
    """Prefill that requests with a common prefix save.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("prefix_sharing")(prefix=[1000, 500], requests=[10, 2], suffix=[1000, 100]).saved
    0.7851239669421488
    """
    return Rule(
        name="prefix_sharing",
        family=_FAMILY,
        formula=("saved = 1 - sum(prefix + suffix) / sum(requests * prefix + suffix)",),
        latex_lines=(
            r"\mathrm{saved} = 1 - \frac{\sum_i (p_i + s_i)}{\sum_i (n_i p_i + s_i)}",
            r"\mathrm{decode\ ratio}_i = d_i / (p_i + s_i)",
        ),
        gives="share of prefill tokens saved; prefill tokens with and without sharing; decode over prefill per group",
        function=_prefix,
        variables={
            "prefix": Quantity("tokens", "shared prefix of each group of requests"),
            "requests": Quantity("1", "requests of each group"),
            "suffix": Quantity(
                "tokens", "of all requests of a group together, beyond the prefix", positive=False, low=0.0
            ),
            "decode": Quantity("tokens", "to be generated by a group", 0.0, positive=False, low=0.0),
        },
        source=BATCHLLM,
        status="own",
        states_law=False,
        notes=(
            "The formulas are ours; an abstract of the paper states 1.1 to 2 times the throughput of vLLM.",
            (
                "Groups are served in descending order of the ratio of decode to prefill, so that the two mix. The "
                "keys and "
                "values of a prefix live only while requests of its group run."
            ),
        ),
    )


class Backpropagation(NamedTuple):
    """Memory of activations."""

    checkpointed: Any
    streamed: Any
    ratio: Any


def _streambp(
    T: Any, h: Any, V: Any, layers: Any, k: Any, kv: Any, element: Any, chunks: Any, logit_chunk: Any
) -> Backpropagation:
    checkpoints = layers * T * h * element
    whole = checkpoints + k * T * h * element + 2.0 * T * V * 4.0
    keys = 2.0 * T * kv * element
    streamed = checkpoints + k * T / chunks * h * element + keys + 2.0 * np.minimum(logit_chunk, T) * V * 4.0
    return Backpropagation(whole, streamed, whole / streamed)


def streambp_memory() -> Rule:
    """Memory of activations with checkpoints, and streamed in chunks.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("streambp_memory")
    >>> round(rule("readme", T=15_000, h=4096, V=151_936, layers=36, kv=1024).ratio, 2)
    4.68
    """
    return Rule(
        name="streambp_memory",
        family=_FAMILY,
        formula=(
            "checkpointed = layers * T * h * element + k * T * h * element + 2 * T * V * 4",
            (
                "streamed = layers * T * h * element + k * T / chunks * h * element + 2 * T * kv * element + 2 * "
                "logit_chunk * V * 4"
            ),
        ),
        gives="bytes with gradient checkpointing, bytes streamed, and their ratio",
        function=_streambp,
        variables={
            "T": Quantity("tokens", "sequence"),
            "h": Quantity("features", "width"),
            "V": Quantity("entries", "vocabulary"),
            "layers": Quantity("1", "layers"),
            "k": Quantity("1", "activations of a layer per token, over the width", 16.0),
            "kv": Quantity("features", "width of keys of one layer", 0.0, positive=False, low=0.0),
            "element": Quantity("bytes", "of an activation", 2.0),
        },
        parameters={
            "chunks": Quantity("1", "pieces that a layer's sequence is cut into"),
            "logit_chunk": Quantity("tokens", "whose logits are held at once"),
        },
        source=STREAMBP,
        status="own",
        states_law=False,
        notes=(
            (
                "The structure is ours; weights, gradients and the optimiser come on top. Logits and their gradients "
                "take four "
                "bytes."
            ),
            "The read-me states sequences 2.8 to 5.5 times as long as with checkpointing.",
        ),
        published={
            "readme": Published(
                {"chunks": 3.0, "logit_chunk": 100.0}, "github.com/Ledzy/StreamBP, read-me: suggested sizes"
            )
        },
    )


class VisualCache(NamedTuple):
    """Cache of a visual autoregressive model after each scale."""

    tokens: NDArray[np.float64]
    bytes: NDArray[np.float64]
    share: NDArray[np.float64]


def _cache(layers: Any, heads: Any, head_dim: Any, batch: Any, element: Any, sides: Any, budget: Any) -> VisualCache:
    tokens = np.cumsum(np.asarray(_SIDES if sides is None else sides, dtype=np.float64) ** 2)
    size = 2.0 * layers * heads * head_dim * element * batch * tokens
    return VisualCache(tokens, size, np.minimum(1.0, budget / tokens))


def visual_cache() -> Rule:
    """Keys and values held after each scale, and the share that a budget keeps.

    Examples
    --------
    >>> import isoloss as iso
    >>> cache = iso.rules.get("visual_cache")("scalekv", layers=32, heads=16, head_dim=128)
    >>> cache.tokens[7:12].astype(int), cache.share[7:12].round(3)
    (array([ 921, 1497, 2521, 4121, 6425]), array([0.706, 0.434, 0.258, 0.158, 0.101]))
    """
    return Rule(
        name="visual_cache",
        family=_FAMILY,
        formula=(
            "tokens_j = sum(sides_i**2 for i <= j)",
            "bytes_j = 2 * layers * heads * head_dim * element * batch * tokens_j",
            "share_j = min(1, budget / tokens_j)",
        ),
        latex_lines=(
            r"\mathrm{tokens}_j = \sum_{i \le j} h_i w_i",
            (
                r"\mathrm{bytes}_j = 2\,\mathrm{layers}\cdot\mathrm{heads}\cdot\mathrm{dim}\cdot\mathrm{bytes}\cdot"
                r"\mathrm{batch}\cdot\mathrm{tokens}_j"
            ),
            r"\mathrm{share}_j = \min(1, \mathrm{budget} / \mathrm{tokens}_j)",
        ),
        gives="tokens and bytes in the cache after each scale, and the share of them within the budget",
        function=_cache,
        variables={
            "layers": Quantity("1", "layers"),
            "heads": Quantity("1", "heads of keys and values"),
            "head_dim": Quantity("features", "width of a head"),
            "batch": Quantity("images", "at once", 1.0),
            "element": Quantity("bytes", "of an element", 2.0),
        },
        parameters={
            "budget": Quantity("tokens", "kept per layer on average"),
            "sides": Quantity("tokens", "of the square scales; the 13 of Infinity if not given", numeric=False),
        },
        source=SCALEKV,
        states_law=False,
        notes=(
            (
                "The released budgets average 650 tokens per layer for scales 9 to 13. Of the cache that these "
                "find, after "
                "scales 8 to 12, that is 0.71, 0.43, 0.26, 0.16 and 0.10: the paper's tenth is that of the last scale."
            ),
            "Few layers (drafters) keep nearly all, the others (refiners) a few hundred tokens.",
        ),
        published={"scalekv": Published({"budget": 650.0}, "released budgets/*.json of ScaleKV, mean over layers")},
    )


class Steps(NamedTuple):
    """Time of an adversarial step."""

    sequential: Any
    concurrent: Any
    speedup: Any


def _adversarial(gradient: Any, ascents: Any, exchange: Any) -> Steps:
    one_after_the_other = (1.0 + ascents) * gradient
    at_once = gradient + exchange
    return Steps(one_after_the_other, at_once, one_after_the_other / at_once)


def adversarial_step() -> Rule:
    """Time of a step of adversarial training, attack and update one after the other or at once.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("adversarial_step")(gradient=0.5).speedup
    2.0
    """
    return Rule(
        name="adversarial_step",
        family=_FAMILY,
        formula=("sequential = (1 + ascents) * gradient", "concurrent = gradient + exchange"),
        gives="seconds of a sequential and of a concurrent step, and their ratio",
        function=_adversarial,
        variables={
            "gradient": Quantity("s", "time of one gradient"),
            "ascents": Quantity("1", "gradients of the attack", 1.0),
            "exchange": Quantity("s", "time to hand the examples over", 0.0, positive=False, low=0.0),
        },
        source=CONADV,
        status="own",
        states_law=False,
        notes=(
            "A model of time only: concurrent examples are made with weights one step old.",
            "The abstract states ResNet-50 at 75.3 % with a batch of 96K, 76.2 % with augmentation.",
        ),
    )


def _half_life(m: Any, components: Any) -> Any:
    return np.log(0.5) / np.log1p(-np.asarray(m)) * components


def statistics_half_life() -> Rule:
    """Updates after which running statistics have forgotten half.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("statistics_half_life")(m=0.1), 2)
    6.58
    """
    return Rule(
        name="statistics_half_life",
        family=_FAMILY,
        formula=("half_life = components * log(1 / 2) / log(1 - m)",),
        gives="updates until the weight of what was seen has halved",
        function=_half_life,
        variables={
            "m": Quantity("1", "weight of a new batch in the running mean", low=0.0, high=0.999999),
            "components": Quantity("1", "sets of statistics that take the updates in turn", 1.0, low=1.0),
        },
        source=UNMIX,
        status="own",
        states_law=False,
        notes=("The paper keeps several components and updates those nearest to a sample; in turn is the even case.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "marlin_roofline": marlin_roofline,
        "prefix_sharing": prefix_sharing,
        "streambp_memory": streambp_memory,
        "visual_cache": visual_cache,
        "adversarial_step": adversarial_step,
        "statistics_half_life": statistics_half_life,
    }
)
"""The rules of this family by name."""
