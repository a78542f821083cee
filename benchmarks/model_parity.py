"""How far our logits and gradients are from transformers' CwmForCausalLM, beside float32's noise.

    python -m benchmarks.model_parity

The same random weights in both (8 layers, window 16, standard deviation 0.19, so that attention
matters to the logits), float32. The noise floor is what each implementation differs from HF in
float64. The last table shows that the comparison would see a defect. Takes about half a minute.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from typing import Any

from benchmarks.measure import print_table  # before torch: one OpenMP thread

import torch  # isort: skip
import torch.nn.functional as F  # isort: skip

from model import CWM, CWMConfig, Packing
from model.config import GLOBAL, LOCAL, RopeScaling

CONFIG = CWMConfig(
    vocab_size=320,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=8,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    rope_theta=1e4,
    rope_scaling=RopeScaling(factor=16.0, original_context=64),
    max_position_embeddings=4096,
    sliding_window=16,
    initializer_range=0.19,
    bos_token_id=64,
    eos_token_ids=(65, 72, 73),
)
LENGTHS = [7, 33, 1, 59]
"""The packed documents, 100 tokens in all."""
LOGITS_BAR, GRADIENTS_BAR = 1e-4, 1e-5
DEFECTS: dict[str, dict[str, Any]] = {
    "window 15": {"sliding_window": 15},
    "window 17": {"sliding_window": 17},
    "all layers global": {"layer_types": (GLOBAL,) * 8},
    "one layer in three global": {"layer_types": ((GLOBAL, LOCAL, LOCAL) * 3)[:8]},
    "RoPE factor 8, not 16": {"rope_scaling": RopeScaling(factor=8.0, original_context=64)},
    "RoPE not scaled": {"rope_scaling": None},
    "norm's epsilon 1e-2": {"rms_norm_eps": 1e-2},
}


def ids_of(length: int) -> torch.Tensor:
    """Return random ids."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, CONFIG.vocab_size, (length,), generator=generator)


def ours(**changes: Any) -> CWM:
    """Build our model, with the same weights at every call."""
    torch.manual_seed(0)
    return CWM(replace(CONFIG, **changes)).eval()


def hf(attention: str) -> Any:
    """Load the same weights into transformers' model."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        ours().save_pretrained(folder)
        return AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()


def hf_logits(model: Any, ids_T: torch.Tensor, **options: Any) -> torch.Tensor:
    """Return HF's logits of one row."""
    logits: torch.Tensor = model(ids_T[None], **({"use_cache": False} | options)).logits[0]
    return logits


def furthest(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest absolute difference."""
    return float((one - other).abs().max())


def gradient_difference(model: CWM, peer: Any, ids_T: torch.Tensor) -> float:
    """Return the largest difference of gradients, as a share of its tensor's largest entry."""
    with torch.enable_grad():
        F.cross_entropy(model(ids_T, Packing.of([len(ids_T)]))[:-1], ids_T[1:]).backward()
        peer.zero_grad()
        F.cross_entropy(hf_logits(peer, ids_T)[:-1], ids_T[1:]).backward()
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    return max(
        furthest(p.grad, theirs[name]) / float(theirs[name].abs().max())
        for name, p in model.named_parameters()
        if p.grad is not None
    )


def differences(attention: str) -> dict[str, float]:
    """Return every difference from HF with this attention."""
    peer, model = hf(attention), ours()
    ids_T, long_T, packing = ids_of(100), ids_of(3000), Packing.of(LENGTHS)
    single, packed = model(ids_T, Packing.of([100])), model(ids_T, packing)
    theirs = hf_logits(peer, ids_T)
    parts = torch.cat([hf_logits(peer, part) for part in ids_T.split(LENGTHS)])
    row = {"position_ids": packing.positions[None]}
    found = {
        "one document of 100 tokens": furthest(single, theirs),
        "one document of 3,000 tokens": furthest(
            model(long_T, Packing.of([3000])), hf_logits(peer, long_T)
        ),
        f"packed {LENGTHS}: HF document by document": furthest(packed, parts),
        "packed: HF with position_ids, use_cache=False": furthest(
            packed, hf_logits(peer, ids_T, **row)
        ),
        "the trap: HF with position_ids and its cache": furthest(
            packed, hf_logits(peer, ids_T, **row, use_cache=True)
        ),
        "gradients, of each tensor's largest entry": gradient_difference(model, peer, ids_T),
    }
    exact = hf_logits(peer.double(), ids_T)
    return found | {
        "noise floor: HF float32 from HF float64": furthest(theirs, exact),
        "noise floor: ours float32 from HF float64": furthest(single, exact),
    }


def verdict(name: str, values: list[float]) -> str:
    """Return whether the row meets its bar."""
    if name.startswith(("noise", "the trap")):
        return ""
    bar = GRADIENTS_BAR if name.startswith("gradients") else LOGITS_BAR
    return f"{bar:.0e}: {'met' if max(values) < bar else 'NOT met'}"


def main() -> None:
    """Compare, and print the tables."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    columns = {attention: differences(attention) for attention in ("sdpa", "eager")}
    rows = []
    for name in columns["sdpa"]:
        values = [column[name] for column in columns.values()]
        rows.append([name, *(f"{value:.1e}" for value in values), verdict(name, values)])
    largest = float(hf_logits(hf("sdpa"), ids_of(100)).abs().max())
    print_table(
        f"Largest absolute difference of logits (which reach {largest:.1f})",
        ["", "HF sdpa", "HF eager", "bar"],
        rows,
    )
    theirs = hf_logits(hf("sdpa"), ids_of(100))
    print_table(
        f"With a defect, each must be over {LOGITS_BAR:.0e}",
        ["defect", "HF sdpa"],
        [
            [name, f"{furthest(ours(**changes)(ids_of(100), Packing.of([100])), theirs):.1e}"]
            for name, changes in DEFECTS.items()
        ],
    )


if __name__ == "__main__":
    main()
