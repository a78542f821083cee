"""Secrets, e-mail addresses and IP addresses out of what is shown, placeholders in.

One rule for documents and traces: the same original gets the same placeholder wherever it stands in
one document, different originals different ones, so that what was equal stays equal and what
differed still differs.

* secrets: the patterns of detect-secrets' plugins for tokens of a known form. Those that go by
  entropy or by a variable's name are left out: they take hashes, test data and code for secrets;
* passwords in URLs and private keys;
* e-mail addresses, not those of reserved domains (RFC 2606);
* public IP addresses, not private, reserved or well-known ones, and not version numbers.

A placeholder is what it stands for, of a kind that belongs to nobody (``email1@example.com``,
``192.0.2.1``), so that code stays code.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

_PLUGINS = (
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("gitlab_token", "GitLabTokenDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("openai", "OpenAIDetector"),
    ("pypi_token", "PypiTokenDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("telegram_token", "TelegramBotTokenDetector"),
    ("twilio", "TwilioKeyDetector"),
)
_SECRET_CHARS = 16
"""A group of a plugin's pattern that is at least so long is the secret, else the whole match is."""
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[^\"']*)",
    re.DOTALL,
)
_URL_PASSWORD = re.compile(r"(?<=://)[^\s:/?#\[\]@'\"{}<>%]+:([^\s:/?#\[\]@'\"{}<>%]+)(?=@)")
_PLAIN_WORD = re.compile(r"[A-Za-z]{1,8}")  # "user:pass@host" of an example

# of a matrix product (``weight@inputs.real``) no attribute is a top-level domain here
_EMAIL = re.compile(
    r"(?<![\w.+%/-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,4}"
    r"(?:com|org|net|edu|gov|mil|int|info|biz|dev|app|io|ai|co|me|tech|email|cloud"
    r"|[a-z]{2}(?=[^\w(]|$))(?![\w-]|\.\w)"
)
_RESERVED_DOMAIN = re.compile(r"[@.](?:example\.(?:com|org|net|edu)|test|invalid|localhost)$")
_NOBODY = frozenset({"git", "hg", "svn"})  # git@github.com is an address of no one
_ADDRESS = re.compile(
    r"(?<![\w.:-])(?:(?:\d{1,3}\.){3}\d{1,3}|[23][0-9a-fA-F]{3}:[0-9a-fA-F:]*:[0-9a-fA-F:]*)"
    r"(?![\w:-]|\.\d)"
)
_WELL_KNOWN = frozenset({"1.1.1.1", "1.2.3.4", "8.8.8.8", "8.8.4.4", "9.9.9.9"})
_VERSION = re.compile(r"(?:version|release|chrome|firefox|safari|\bv)[\W_]{0,8}[\d.]{0,8}$", re.I)
_NUMBERS = re.compile(r"(?:[012]?\d|3[01])\.(?:[012]?\d|3[01]|101)\.")
"""Two small numbers first: a version or an object identifier far more often than a host."""
_LEAST_TAIL = 6
"""Characters from which the beginning of an original that a budget cut is recognised."""

Span = tuple[int, int, str]
"""(start, end, kind)."""


@cache
def _secret_patterns() -> tuple[re.Pattern[str], ...]:
    """The plugins' patterns; detect-secrets is only imported by whoever redacts."""
    found: list[re.Pattern[str]] = []
    for module, name in _PLUGINS:
        found += getattr(import_module(f"detect_secrets.plugins.{module}"), name).denylist
    return tuple(map(_to_its_end, found))


def _to_its_end(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern that takes all of a token: that of JWTs leaves off before the signature."""
    lazy = pattern.pattern.endswith("*?")
    return re.compile(pattern.pattern[:-1], pattern.flags) if lazy else pattern


_HINTS = (
    *("a3t", "abia", "acca", "akia", "asia", "aws", "accountkey=", "ghp_", "gho_", "ghu_", "ghs_"),
    *("ghr_", "glpat", "gldt", "glft", "glsoat", "glrt", "gr1348941", "glcbt", "glimt", "glptt"),
    *("glagent", "gloas", "eyj", "-us", "t3blbkfj", "pypi-", "sg.", "xox", "hooks.slack", "sq0csp"),
    "k_live_",
)
_RARE = re.compile(
    r"\b[MNO][\w-]{23,25}\.[\w-]{6}\.|AC[a-z0-9]{32}|SK[a-z0-9]{32}|\d{8,10}:[\w-]{35}"
)
"""Without a hint, in lower case, or this pattern none of the plugins' matches: a quick look in
place of twenty."""


def _secrets(text: str) -> Iterator[Span]:
    for match in _PRIVATE_KEY.finditer(text) if "-----BEGIN " in text else ():
        yield *match.span(), "secret"
    for match in _URL_PASSWORD.finditer(text) if "://" in text else ():
        if not _PLAIN_WORD.fullmatch(match[1]):
            yield *match.span(1), "secret"
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS) and not _RARE.search(text):
        return
    for pattern in _secret_patterns():
        for match in pattern.finditer(text):
            group = match.lastindex or 0
            whole = len(match[group] or "") < _SECRET_CHARS
            yield *match.span(0 if whole else group), "secret"


def _emails(text: str) -> Iterator[Span]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        if not _RESERVED_DOMAIN.search(match[0].lower()) and match[0].split("@")[0] not in _NOBODY:
            yield *match.span(), "email"


def _addresses(text: str) -> Iterator[Span]:
    for match in _ADDRESS.finditer(text):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        line = text.rfind("\n", 0, match.start()) + 1
        before = text[max(line, match.start() - 24) : match.start()]
        known = match[0] in _WELL_KNOWN or _NUMBERS.match(match[0])
        if address.is_global and not known and not _VERSION.search(before):
            yield *match.span(), "ipv6" if address.version == 6 else "ip"


def _spans(text: str) -> list[Span]:
    """Return what is to be replaced, from left to right; of two that overlap the first counts, of
    two that begin together the secret, else the longer one.
    """
    found = sorted(
        {*_secrets(text), *_emails(text), *_addresses(text)},
        key=lambda span: (span[0], span[2] != "secret", -span[1]),
    )
    kept: list[Span] = []
    for span in found:
        if span[1] > span[0] and (not kept or span[0] >= kept[-1][1]):
            kept.append(span)
    return kept


@dataclass(slots=True)
class Redactor:
    """The placeholders of one document or trace; ``counts``: how many of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    _known: dict[str, str] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def redact(self, texts: Sequence[str]) -> list[str]:
        """Return ``texts`` redacted; the same list of strings when there is nothing to redact."""
        spans = [_spans(text) for text in texts] if _spans("\n".join(texts)) else []
        if not any(spans):
            return list(texts)
        everything = "\n".join(texts)
        for text, found in zip(texts, spans, strict=True):
            for start, end, kind in found:
                self._placeholder(text[start:end], kind, everything)
        return [self._replaced(text, found) for text, found in zip(texts, spans, strict=True)]

    def _placeholder(self, original: str, kind: str, everything: str) -> None:
        if original in self._known:
            return
        self.counts[kind] += 1
        number = self.counts[kind]
        while (name := _name(kind, number)) in everything:  # one that the text has of its own
            number += 1_000
        self._known[original] = name
        if kind == "secret" and len(original) >= _SECRET_CHARS:
            self._tokens[original] = name

    def _replaced(self, text: str, spans: Sequence[Span]) -> str:
        for start, end, _ in reversed(spans):
            text = text[:start] + self._known[text[start:end]] + text[end:]
        for original, name in self._tokens.items():  # where no pattern sees it: beside letters
            text = text.replace(original, name)
        return self._without_beginnings(text) if "..." in text else text

    def _without_beginnings(self, text: str) -> str:
        """Replace the beginning of an original that the budget of a value has cut off."""
        pieces = text.split("...")
        for place, piece in enumerate(pieces[:-1]):
            for original, name in self._known.items():
                for size in range(min(len(original), len(piece)), _LEAST_TAIL - 1, -1):
                    if piece.endswith(original[:size]):
                        pieces[place] = piece = piece[:-size] + name
                        break
        return "...".join(pieces)


def _name(kind: str, number: int) -> str:
    """Return the placeholder of a kind; addresses are from the blocks of RFC 5737 and RFC 3849."""
    if kind == "email":
        return f"email{number}@example.com"
    if kind == "ipv6":
        return f"2001:db8::{number:x}"
    if kind == "ip":
        block = ("192.0.2", "198.51.100", "203.0.113")[number // 254 % 3]
        return f"{block}.{number % 254 + 1}"
    return f"SECRET{number}"


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return ``text`` with placeholders, and how many originals of each kind there were."""
    redactor = Redactor()
    return redactor.redact([text])[0], redactor.counts
