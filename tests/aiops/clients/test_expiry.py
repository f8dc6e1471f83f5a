import base64
from datetime import UTC, datetime

import orjson
import pytest

from aiops.clients import expiry
from aiops.clients.kubeconfig import Access

END = datetime(2030, 1, 1, tzinfo=UTC)


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"head.{body}.signature"


class TestOfCredentials:
    def test_reads_the_end_of_a_token(self):
        access = Access(server="https://x", token=token({"exp": END.timestamp()}))

        assert expiry.of_credentials(access) == END

    @pytest.mark.parametrize(
        "text", ["", "opaque", "a.b.c", token([]), token({"exp": "soon"}), token({"exp": 1e300}), token({"exp": -1})]
    )
    def test_of_others_nothing_is_known(self, text):
        assert expiry.of_credentials(Access(server="https://x", token=text)) is None

    def test_of_a_broken_certificate_nothing_is_known(self):
        assert expiry.of_credentials(Access(server="https://x", certificate="nonsense")) is None


class TestOfServer:
    def test_of_plain_http_there_is_none(self):
        assert expiry.of_server(Access(server="http://127.0.0.1:1")) is None

    def test_of_one_that_is_not_there_nothing_is_known(self):
        assert expiry.of_server(Access(server="https://127.0.0.1:1", insecure=True)) is None
