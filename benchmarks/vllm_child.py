"""vLLM in a process of its own environment, told what to decode over a pipe.

    VLLM_PYTHON -m benchmarks.vllm_child CHECKPOINT eager|compiled LENGTH LANES

Reads one JSON object per line, ``{"prompts": [[ids]], "limits": [new tokens of each]}``, decodes
greedily without stop ids and answers ``{"seconds": CPU seconds of this process, "tokens":
[[ids]]}``. The first line that it writes says what was loaded. The engine's core runs in this
process, not in a child of it, so that `time.process_time` sees all of the work, whichever thread
does it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine's core in this process
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    """Load the checkpoint, then answer until the pipe is closed."""
    checkpoint, mode, length, lanes = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what vLLM prints must not come between the answers
    os.environ.update(ENVIRONMENT)
    import torch
    import vllm

    engine = vllm.LLM(
        checkpoint,
        skip_tokenizer_init=True,
        dtype="float32",
        enforce_eager=mode == "eager",
        max_model_len=int(length),
        max_num_seqs=int(lanes),
        enable_prefix_caching=False,  # every round reads the same prompts
    )
    compilation = engine.llm_engine.vllm_config.compilation_config
    ready = {
        "version": vllm.__version__,
        "compilation": str(getattr(compilation.mode, "name", compilation.mode)),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(ready), file=answers)
    for line in sys.stdin:
        print(json.dumps(_decode(vllm, engine, json.loads(line))), file=answers)


def _decode(vllm: Any, engine: Any, task: dict[str, Any]) -> dict[str, Any]:
    prompts = [{"prompt_token_ids": ids} for ids in task["prompts"]]
    parameters = [
        vllm.SamplingParams(temperature=0, max_tokens=n, ignore_eos=True, detokenize=False)
        for n in task["limits"]
    ]
    gc.collect()
    started = time.process_time()
    outputs = engine.generate(prompts, parameters, use_tqdm=False)
    seconds = time.process_time() - started
    return {"seconds": seconds, "tokens": [list(o.outputs[0].token_ids) for o in outputs]}


if __name__ == "__main__":
    main()
