import pytest

from stages.redaction import Redactor, _secret_patterns, redact

AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f'key = "{AWS}"', 'key = "SECRET1"'),
        (f"use {GITHUB} here", "use SECRET1 here"),
        ("xoxb-1234-5678-abcdef", "SECRET1"),
        ("sk_live_" + "a1" * 12, "SECRET1"),
        ("SG." + "a" * 22 + "." + "b" * 43, "SECRET1"),
        (f"k = '''{KEY}'''", "k = '''SECRET1'''"),
        ("https://bob:hunter22@host.org/x", "https://bob:SECRET1@host.org/x"),
        ("by Jane <jane.doe@gmail.com>", "by Jane <email1@example.com>"),
        ("mailto:jane@corp.co.uk.", "mailto:email1@example.com."),
        ("host 52.31.9.144 is up", "host 192.0.2.2 is up"),
        ("at 2a00:1450:4001:81b::200e", "at 2001:db8::1"),
    ],
)
def test_what_belongs_to_someone_is_replaced(text: str, shown: str) -> None:
    found, counts = redact(text)
    assert found == shown
    assert counts.total() == 1


X = "xY7" * 100
TOKENS = (
    *(f"{start}{'Q7' * 8}" for start in ("A3TX", "ABIA", "ACCA", "AKIA", "ASIA")),
    f"AccountKey={X[:88]}",
    f"M{X[:24]}.{X[:6]}.{X[:27]}",
    *(f"gh{kind}_{X[:36]}" for kind in "pousr"),
    *(f"gl{kind}-{X[:20]}" for kind in ("pat", "dt", "ft", "soat", "rt", "cbt")),
    *(f"GR1348941{X[:20]}", f"glimt-{X[:25]}", f"glptt-{X[:40]}"),
    *(f"glagent-{X[:50]}", f"gloas-{X[:64]}"),
    f"eyJ{X[:20]}.eyJ{X[:20]}.{X[:20]}",
    f"{'0a' * 16}-us12",
    f"sk-{X[:20]}T3BlbkFJ{X[:20]}",
    *(f"pypi-{start}{X[:70]}" for start in ("AgEIcHlwaS5vcmc", "AgENdGVzdC5weXBpLm9yZw")),
    f"SG.{X[:22]}.{X[:43]}",
    *("xoxp-12-34-ab", "https://hooks.slack.com/services/T1/B2/c3"),
    f"sq0csp-{X[:43]}",
    *(f"{kind}k_live_{X[:24]}" for kind in "rs"),
    f"123456789:{X[:35]}",
    *(f"{kind}{'0a' * 16}" for kind in ("AC", "SK")),
)


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_every_known_form_are_replaced(token: str) -> None:
    found, counts = redact(f"call('bot{token}', 1)" if token[0] == "1" else f"call('{token}', 1)")
    assert token not in found and token[-12:] not in found
    assert set(counts) == {"secret"}


def test_every_pattern_has_its_token() -> None:
    shown = [
        pattern.pattern for pattern in _secret_patterns() if not any(map(pattern.search, TOKENS))
    ]
    assert [pattern[:3] for pattern in shown] == ["aws"]  # the next test's


def test_of_an_assignment_the_secret_alone_is_replaced() -> None:
    assert redact(f"aws_secret_key = '{X[:40]}'")[0] == "aws_secret_key = 'SECRET1'"


@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com, joe@mail.example.org, me@localhost, x@host.test",
        "y = weight@inputs.real + w@x.T + a@b.to(c)",
        "git@github.com:jane/thing.git",
        "@pytest.mark.skip",
        "127.0.0.1 10.1.2.3 192.168.0.1 0.0.0.0 255.255.255.0 8.8.8.8 192.0.2.7 ::1 fe80::1",
        '__version__ = "40.1.0.33"',
        "oid = 2.5.29.14",
        "a[1::2], 12:30:45, 3:40",
        "postgres://user:pass@localhost/db and https://{user}:{password}@host",
        'password = get("secret")',
        "sha1 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'",
    ],
)
def test_what_belongs_to_no_one_stays(text: str) -> None:
    assert redact(text) == (text, {})


def test_equal_stays_equal_and_different_different() -> None:
    texts = ["jane@corp.com", "joe@corp.com jane@corp.com", f"'{AWS}'", f"['{AWS}', 1]", "plain"]
    assert Redactor().redact(texts) == [
        "email1@example.com",
        "email2@example.com email1@example.com",
        "'SECRET1'",
        "['SECRET1', 1]",
        "plain",
    ]


def test_placeholders_that_the_text_has_are_not_given() -> None:
    assert (
        redact("jane@corp.com email1@example.com")[0] == "email1001@example.com email1@example.com"
    )


def test_what_a_budget_cut_off_is_recognised() -> None:
    texts = [f"key = '{GITHUB}'", f"'{GITHUB[:20]}...", f"['{GITHUB[:9]}..., ...]", "'ghp...'"]
    assert Redactor().redact(texts) == [
        "key = 'SECRET1'",
        "'SECRET1...",
        "['SECRET1..., ...]",
        "'ghp...'",
    ]


def test_a_secret_beside_letters_is_replaced_once_it_is_known() -> None:
    texts = [f'token = "{GITHUB}"', f"'x{GITHUB}y'"]
    assert Redactor().redact(texts) == ['token = "SECRET1"', "'xSECRET1y'"]


def test_many_addresses_have_as_many_placeholders() -> None:
    text = " ".join(f"52.31.{n // 200}.{n % 200 + 1}" for n in range(600))
    assert len(set(redact(text)[0].split())) == 600
