"""Settings of inputs that a language model makes: what is asked, and where.

The model's name and the prompt's version are part of a stage's identity, and so is all else in
`LLMSettings`; the answers are content. No seed makes a served model repeat itself: a stage with
such inputs is reproducible from its cache alone.
"""

from __future__ import annotations

from dataclasses import dataclass

PROMPT_VERSION = 1
"""Of the prompt in `stages.trace.inputs.llm`: raised with every change of its text, so that answers
to another prompt are not taken for answers to this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LLMSettings:
    """What is asked of which model."""

    # as the endpoint knows it; "": none is asked
    model: str = ""
    # of the prompt's text; this code has one
    prompt_version: int = PROMPT_VERSION
    # argument lists asked for, and kept at most
    inputs_per_function: int = 8
    functions_per_request: int = 4
    # of sampling, 0 to 2
    temperature: float = 0.8
    # tokens of one answer; ``max_tokens`` of the request
    answer_tokens: int = 4_096

    def __post_init__(self) -> None:
        """Check the prompt's version, and that every count can be met."""
        if self.prompt_version != PROMPT_VERSION:
            raise ValueError(
                f"llm.prompt_version={self.prompt_version}: this code has prompt {PROMPT_VERSION}"
            )
        for name in ("inputs_per_function", "functions_per_request", "answer_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"llm.{name}={getattr(self, name)}: 1 or more")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"llm.temperature={self.temperature}: from 0 to 2")


@dataclass(frozen=True, kw_only=True, slots=True)
class LLMEndpoint:
    """Where the model is served, as OpenAI's chat completions are; no part of the identity."""

    # what /chat/completions is appended to, such as http://localhost:8000/v1
    base_url: str = ""
    # name of the environment variable that holds the key; "": none is sent. Never the key itself
    key_variable: str = ""
    # requests under way at once
    concurrency: int = 8
    # seconds that one request may take
    timeout_seconds: float = 120.0
    # requests in all before giving up, and seconds until the second; doubled for each further one
    tries: int = 6
    backoff_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Check the address, that no key is written here, and the numbers."""
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("llm.base_url starts with http:// or https://")
        if self.key_variable and not self.key_variable.isidentifier():
            raise ValueError("llm.key_variable is the name of an environment variable, not a key")
        for name in ("concurrency", "timeout_seconds", "tries", "backoff_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"llm.{name}={getattr(self, name)}: above 0")
