import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.redaction import LONGEST, PATTERNS, WORDS, redact, redact_details

SECRET = "s3cr3tValue0123456789"


class TestRedact:
    @pytest.mark.parametrize(
        "text",
        [
            f"password={SECRET}", f'{{"api_key": "{SECRET}"}}', f"DB_PASSWORD: {SECRET}", f"Authorization: Bearer {SECRET}",
            f"authorization: Basic {SECRET}", f"curl -H 'X-Api-Key: {SECRET}'", f"postgres://aiops:{SECRET}@db/aiops",
            f"https://hooks.slack.com/services/{SECRET}", f"ghp_{SECRET}{SECRET}", f"sk-{SECRET}", f"ck_live_{SECRET}",
            f"AWS_SECRET_ACCESS_KEY={SECRET}", f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        ],
    )  # fmt: skip
    def test_removes_the_secret(self, text: str) -> None:
        assert SECRET not in redact(text)
        assert "[REDACTED:" in redact(text)

    @pytest.mark.parametrize(
        "text",
        [
            "Back-off restarting failed container",
            "secretName not found",
            "https://example.com/a?b=c",
            "tokens per minute: many",
        ],
    )
    def test_leaves_ordinary_text_alone(self, text: str) -> None:
        assert redact(text) == text

    def test_is_bounded(self) -> None:
        assert len(redact("x" * (LONGEST + 1))) == LONGEST

    def test_drops_nul_which_postgresql_cannot_store(self) -> None:
        assert redact("a\x00b") == "ab"

    def test_knows_the_patterns_of_the_operator(self, settings) -> None:
        settings.AIOPS_LOG_SCRUB_PATTERNS = [r"CUST-\d+"]

        assert redact("for CUST-4711") == "for [REDACTED:custom-1]"


PIECES = [
    "-----BEGIN ", "RSA PRIVATE KEY-----", "ck_live_", "eyJ", "authorization", "AUTHOR\u0131ZATION",
    "bearer ", "Bearer\n", "AKIA", "ASIA",
    "ghp_", "ghr_", "glpat-", "xoxb-", "hooks.slack.com/services/", "sk-", "AIza", "://", "pa\u017fsword", "passphrase", "api_key",
    "access-key", "credentials", "Secret", "token", "=", ": ", "@", "user:", "'", '"', ".", "-", " ", SECRET, SECRET.upper(),
    "0123456789ABCDEF",
]  # fmt: skip


class TestWords:
    def test_every_pattern_has_some(self) -> None:
        assert WORDS.keys() == PATTERNS.keys()

    @given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
    def test_spare_no_secret(self, text: str) -> None:
        """The result is that of trying every pattern on every text."""
        expected = text
        for name, pattern in PATTERNS.items():
            kept = r"\g<keep>" if "(?P<keep>" in pattern else ""
            expected = re.sub(pattern, f"{kept}[REDACTED:{name}]", expected, flags=re.DOTALL)

        assert redact(text) == expected


class TestRedactDetails:
    def test_masks_members_with_a_telling_name(self) -> None:
        details = redact_details({"token": SECRET, "nested": [{"clientSecret": SECRET}], "replicas": 3})

        assert SECRET not in str(details)
        assert details["replicas"] == 3
