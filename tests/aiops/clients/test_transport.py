import gzip
import ssl
import threading

import pytest

from aiops.clients.addresses import AddressRefused
from aiops.clients.errors import (
    ClientError,
    ClientRefused,
    ClientUnavailable,
    Denied,
    Expired,
    NotFound,
    Rejected,
    VersionConflict,
)
from aiops.clients.kubeconfig import Access
from aiops.clients.kubernetes import KubernetesClient
from tests.aiops.clients.certificates import make_authority, make_certificate
from tests.servers import Answer, http_server, raw_server


def make_client(url: str, **options) -> KubernetesClient:
    return KubernetesClient(Access(url, token="t0ken"), **{"connect_timeout": 1, "read_timeout": 5, **options})


def fail_against(*answers: Answer, **options) -> ClientError:
    with http_server(*answers) as server, pytest.raises(ClientError) as failure:
        make_client(server.url, **options).version()
    assert "t0ken" not in str(failure.value)
    assert "GET /version" in failure.value.message
    return failure.value


class TestRequests:
    def test_carry_the_token(self):
        with http_server(Answer(body=b"{}")) as server:
            make_client(server.url).version()

        assert server.received[0].headers["authorization"] == "Bearer t0ken"

    def test_carry_user_and_password(self):
        with http_server(Answer(body=b"{}")) as server:
            KubernetesClient(Access(server.url, username="u", password="p")).version()

        assert server.received[0].headers["authorization"] == "Basic dTpw"

    def test_read_the_service_accounts_token_each_time(self, tmp_path):
        file = tmp_path / "token"
        with http_server(Answer(body=b"{}")) as server:
            client = KubernetesClient(Access(server.url, token_file=str(file)))
            for token in ("first", "second"):
                file.write_text(token)
                client.version()

        assert [request.headers["authorization"] for request in server.received] == ["Bearer first", "Bearer second"]

    def test_keep_below_a_path_of_the_server(self):
        with http_server(Answer(body=b"{}")) as server:
            make_client(f"{server.url}/k8s/clusters/c-1").version()

        assert server.received[0].path == "/k8s/clusters/c-1/version"

    def test_quote_names(self):
        with http_server(Answer(body=b"{}")) as server:
            make_client(server.url).get("Pod", "../secrets?a", "shop")

        assert server.received[0].path == "/api/v1/namespaces/shop/pods/..%2Fsecrets%3Fa"

    def test_unpack_compressed_answers(self):
        answer = Answer(body=gzip.compress(b'{"gitVersion": "v1.36.2"}'), headers={"Content-Encoding": "gzip"})
        with http_server(answer) as server:
            assert make_client(server.url).version() == {"gitVersion": "v1.36.2"}


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, Rejected),
            (401, Denied),
            (403, Denied),
            (404, NotFound),
            (405, ClientRefused),
            (409, VersionConflict),
            (410, Expired),
            (413, Rejected),
            (422, Rejected),
            (429, ClientUnavailable),
            (500, ClientUnavailable),
            (503, ClientUnavailable),
        ],
    )
    def test_become_the_error_that_they_mean(self, status, error):
        failure = fail_against(Answer(status=status, body=b'{"kind": "Status", "message": "because", "reason": "Why"}'))

        assert type(failure) in (error, *error.__subclasses__())
        assert failure.status == status

    def test_give_the_servers_words(self):
        failure = fail_against(Answer(status=403, body=b'{"message": "nodes is forbidden", "reason": "Forbidden"}'))

        assert failure.message == "GET /version: nodes is forbidden (HTTP 403)"
        assert failure.reason == "Forbidden"

    def test_lose_secrets_of_the_servers_words(self):
        failure = fail_against(Answer(status=500, body=b'{"message": "token=abcdefgh12345678"}'))

        assert "abcdefgh" not in failure.message

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"message": 1, "reason": []}', b"\xff" * 100_000])
    def test_may_be_nonsense_beside_the_status(self, body):
        assert fail_against(Answer(status=502, body=body)).status == 502

    def test_say_when_to_come_back(self):
        failure = fail_against(Answer(status=429, headers={"Retry-After": "7"}))

        assert isinstance(failure, ClientUnavailable)
        assert failure.retry_after == 7

    def test_are_not_followed_elsewhere(self):
        with http_server() as elsewhere:
            failure = fail_against(Answer(status=307, headers={"Location": f"{elsewhere.url}/version"}))

        assert "redirect" in failure.message
        assert elsewhere.received == []

    @pytest.mark.parametrize("body", [b"", b'{"a": ', b"[]", b"null", b"\x00\xff", b"{" * 5_000])
    def test_that_are_no_json_object_are_garbage(self, body):
        assert fail_against(Answer(body=body)).reason == "garbage"

    def test_that_are_too_large_are_garbage(self):
        failure = fail_against(Answer(body=b" " * 10_000), page_bytes=1_000)

        assert failure.reason == "garbage"

    def test_that_unfold_without_end_are_garbage(self):
        bomb = Answer(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})

        assert fail_against(bomb, page_bytes=100_000).reason == "garbage"

    def test_that_cannot_be_decompressed_are_garbage(self):
        assert fail_against(Answer(body=b"{}", headers={"Content-Encoding": "gzip"})).reason == "garbage"

    def test_are_asked_for_once(self):
        with http_server(Answer(status=500)) as server, pytest.raises(ClientUnavailable):
            make_client(server.url).version()

        assert len(server.received) == 1


class TestConnections:
    def test_that_are_refused(self):
        with http_server() as server:
            url = server.url

        with pytest.raises(ClientUnavailable, match="no connection") as failure:
            make_client(url).version()
        assert failure.value.reason == "connect"

    def test_that_nobody_answers(self):
        hang = threading.Event()

        failure = fail_against(Answer(hang=hang), read_timeout=0.2)

        hang.set()
        assert failure.reason == "timeout"

    def test_whose_answer_trickles_in(self):
        def trickle(send):
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while send(b" "):
                stopped.wait(0.05)

        stopped = threading.Event()
        with raw_server(trickle) as url, pytest.raises(ClientUnavailable, match="did not end in time") as failure:
            make_client(url, total_timeout=0.3).version()
        assert failure.value.reason == "timeout"

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"",
        ],
    )
    def test_that_break_off(self, answer):
        with raw_server(lambda send: send(answer)) as url, pytest.raises(ClientUnavailable) as failure:
            make_client(url).version()
        assert failure.value.reason == "connect"

    def test_to_names_that_do_not_resolve(self):
        with pytest.raises(ClientUnavailable) as failure:
            make_client("http://cluster.invalid").version()
        assert failure.value.reason == "dns"

    def test_to_private_addresses_end_before_anything_is_sent(self, settings):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False

        with http_server() as server, pytest.raises(AddressRefused):
            make_client(server.url).version()
        assert server.received == []

    def test_of_the_service_account_may_be_private(self, settings, tmp_path):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False
        (tmp_path / "token").write_text("t0ken")

        with http_server(Answer(body=b"{}")) as server:
            assert KubernetesClient(Access(server.url, token_file=str(tmp_path / "token"))).version() == {}

    def test_ignore_proxies_of_the_environment(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)

        with http_server(Answer(body=b"{}")) as server:
            assert make_client(server.url).version() == {}

    def test_serve_many_threads(self):
        with http_server(Answer(body=b"{}")) as server:
            client = make_client(server.url)
            threads = [threading.Thread(target=client.version) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert len(server.received) == 12


class TestTLS:
    AUTHORITY = make_authority()
    SERVER = make_certificate("server", AUTHORITY)
    CLIENT = make_certificate("client", AUTHORITY)

    @pytest.fixture
    def server(self, tmp_path):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (tmp_path / "server.pem").write_text(self.SERVER.certificate + self.SERVER.key)
        context.load_cert_chain(tmp_path / "server.pem")
        context.load_verify_locations(cadata=self.AUTHORITY.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        with http_server(Answer(body=b"{}"), tls=context) as server:
            yield server

    def test_is_verified_by_the_clusters_authority(self, server):
        assert KubernetesClient(Access(server.url, ca=self.AUTHORITY.certificate, token="t")).version() == {}

    def test_of_another_authority_is_refused(self, server):
        access = Access(server.url, ca=make_authority("other").certificate, token="t")

        with pytest.raises(ClientUnavailable, match="TLS") as failure:
            KubernetesClient(access).version()
        assert failure.value.reason == "tls"
        assert server.received == []

    def test_of_another_name_is_refused(self, server):
        access = Access(server.url, ca=self.AUTHORITY.certificate, tls_server_name="kube.example", token="t")

        with pytest.raises(ClientUnavailable, match="TLS"):
            KubernetesClient(access).version()

    def test_is_not_verified_where_that_was_accepted(self, server):
        assert KubernetesClient(Access(server.url, insecure=True, token="t")).version() == {}

    def test_takes_a_client_certificate(self, server):
        access = Access(
            server.url, ca=self.AUTHORITY.certificate, certificate=self.CLIENT.certificate, key=self.CLIENT.key
        )

        assert KubernetesClient(access).version() == {}
        assert server.peers == ["client"]
