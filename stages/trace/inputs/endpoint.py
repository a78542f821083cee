"""A language model behind an address: one question, one answer, patiently asked.

The wire is OpenAI's chat completions, which vLLM, llama.cpp and most others serve too.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from email.message import Message
from typing import IO, Any, NoReturn

from stages.trace.inputs.llm_settings import LLMEndpoint, LLMSettings

_LOG = logging.getLogger(__name__)
_ANSWER_BYTES = 4 << 20
_LONGEST_WAIT = 60.0  # seconds between two requests, whatever the server asks for
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_SETTING = {
    400: "llm.model or llm.answer_tokens",
    401: "llm.key_variable",
    403: "llm.key_variable",
    404: "llm.base_url or llm.model",
}
"""Which setting a refusal is most likely about."""


class EndpointError(RuntimeError):
    """The endpoint cannot be used; says what it answered, and which setting to look at."""


class _Later(Exception):  # noqa: N818  it says what to do
    """The request may work when it is made again, after so many seconds (None: as usual)."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key is sent to the address in the settings, and nowhere else."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


class Endpoint:
    """Asks one model. `complete` may be called from several threads; `give_up` ends their waits."""

    def __init__(self, settings: LLMSettings, where: LLMEndpoint) -> None:
        if not where.base_url:
            raise EndpointError("llm.base_url is empty: where the model of llm.model is served")
        self._settings, self._where = settings, where
        self._url = where.base_url.rstrip("/") + "/chat/completions"
        self._key = _key(where.key_variable)
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._given_up = threading.Event()
        self._error: EndpointError | None = None

    def give_up(self) -> None:
        """Let no request be made again."""
        self._given_up.set()

    def complete(self, question: str) -> str:
        """Return the model's answer; raises `EndpointError` when there is none to be had.

        After the first such error there is no further request: every call raises it.
        """
        try:
            return self._patiently(question)
        except EndpointError as error:
            self._error = self._error or error
            self.give_up()
            raise self._error from None

    def _patiently(self, question: str) -> str:
        problem = "given up"
        for attempt in range(self._where.tries):
            if self._given_up.is_set():
                break
            try:
                return self._request(question)
            except _Later as later:
                problem = str(later)
                wait = self._where.backoff_seconds * 2**attempt * random.uniform(0.75, 1.25)
                wait = wait if later.seconds is None else max(wait, later.seconds)
            if attempt < self._where.tries - 1:
                _LOG.info("asking %s again: %s", self._url, problem)
                self._given_up.wait(min(wait, _LONGEST_WAIT))
        raise EndpointError(
            f"{self._url} (llm.base_url) did not answer in {self._where.tries} tries: {problem}"
        )

    def _request(self, question: str) -> str:
        body = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.answer_tokens,
        }
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        deadline = time.monotonic() + self._where.timeout_seconds
        try:
            with self._opener.open(request, timeout=self._where.timeout_seconds) as response:
                return _content(_read(response, deadline))
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error)
        except (OSError, http.client.HTTPException) as error:  # a URLError is an OSError
            raise _Later(f"{type(error).__name__}: {error}") from error

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        said = f"HTTP {error.code}"
        with suppress(OSError, http.client.HTTPException):  # the status is what counts
            said += f": {error.read(500).decode('utf-8', 'replace')}"
        if self._key:
            said = said.replace(self._key, "(the key)")
        if error.code in _BUSY:
            raise _Later(said, _seconds(error.headers.get("Retry-After")))
        setting = _SETTING.get(error.code, "llm.base_url")
        raise EndpointError(f"{self._url} refuses, see {setting}: {said}")


def _key(variable: str) -> str:
    """Return what the environment variable holds; raises `EndpointError` when that is no key."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EndpointError(f"llm.key_variable={variable}: no such environment variable, or empty")
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(f"llm.key_variable={variable}: what it holds cannot be a key")
    return key


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """Read the answer; a server that sends it drop by drop is not waited for for ever."""
    parts, size = [], 0
    while part := response.read1(65_536):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise _Later("the answer came too slowly (llm.timeout_seconds)")
        if size > _ANSWER_BYTES:
            raise _Later(f"an answer of more than {_ANSWER_BYTES} bytes")
    return b"".join(parts)


def _content(body: bytes) -> str:
    """Return the text of the first choice; "" when the model says nothing."""
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _Later("not an answer as OpenAI's chat completions give it") from error
    return content if isinstance(content, str) else ""


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After in seconds; the other form, a date, is rare and not read."""
    return float(header) if header and header.isascii() and header.isdigit() else None
