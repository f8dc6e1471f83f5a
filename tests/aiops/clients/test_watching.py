"""What real API servers do on a watch, byte by byte; the simulated one is too well-behaved for some of it."""

from collections.abc import Callable, Iterable

import orjson
import pytest

from aiops.clients import watching
from aiops.clients.errors import ClientRefused, ClientUnavailable, Expired
from aiops.clients.kubeconfig import Access
from aiops.clients.watching import Change, WatchClient
from tests.servers import Answer, http_server, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def frame(word: str, version: str, **members: object) -> bytes:
    """One line of a watch; kind and apiVersion are missing, as in lists, or there, as the server likes."""
    meta = {"name": "web", "namespace": "shop", "resourceVersion": version} | members
    return orjson.dumps({"type": word, "object": {"metadata": meta}}) + b"\n"


def status_frame(**status: object) -> bytes:
    return orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", **status}}) + b"\n"


def chunked(content: bytes, size: int) -> Iterable[bytes]:
    for start in range(0, len(content), size):
        part = content[start : start + size]
        yield b"%x\r\n%s\r\n" % (len(part), part)


def watch(content: bytes, *, size: int = 4096, end: bytes = END) -> list[Change]:
    def answer(send: Callable[[bytes], bool]) -> None:
        send(HEAD)
        for chunk in chunked(content, size):
            send(chunk)
        send(end)

    with raw_server(answer) as url:
        return list(WatchClient(Access(url, token="t"), read_timeout=5.0).watch("Pod", "1"))


class TestWatch:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
    def test_reads_lines_that_are_cut_anywhere(self, size):
        """Also in the middle of a character, and several lines in one chunk."""
        changes = watch(frame("ADDED", "7", labels={"team": "Äpfel 🍎"}) + b"\n" + frame("DELETED", "8"), size=size)

        assert [(one.type, one.version) for one in changes] == [("ADDED", "7"), ("DELETED", "8")]
        assert changes[0].object["metadata"]["labels"] == {"team": "Äpfel 🍎"}
        assert (changes[0].object["kind"], changes[0].object["apiVersion"]) == ("Pod", "v1")

    def test_takes_versions_as_they_are(self):
        """They are no numbers to us: servers beside etcd use other forms, and numbers of any length."""
        versions = ["rv:a/b+c=", "340282366920938463463374607431768211456", "08"]

        assert [one.version for one in watch(b"".join(frame("MODIFIED", one) for one in versions))] == versions

    def test_goes_on_from_bookmarks(self):
        mark = frame("BOOKMARK", "99", annotations={"k8s.io/initial-events-end": "true"})

        assert [(one.type, one.version) for one in watch(mark)] == [("BOOKMARK", "99")]

    def test_has_to_begin_anew_when_it_is_too_old(self):
        """After some changes, in a line of an answer that began with 200."""
        with pytest.raises(Expired):
            watch(
                frame("ADDED", "7")
                + status_frame(code=410, reason="Expired", message="too old resource version: 1 (9)")
            )

    def test_waits_as_long_as_it_is_asked_to(self):
        with pytest.raises(ClientUnavailable) as caught:
            watch(status_frame(code=429, reason="TooManyRequests", details={"retryAfterSeconds": 9}))

        assert (caught.value.status, caught.value.retry_after) == (429, 9)

    @pytest.mark.parametrize(
        "status", [{}, {"code": "x", "details": []}, {"code": 500, "details": {"retryAfterSeconds": -1}}]
    )
    def test_survives_any_error(self, status):
        with pytest.raises(ClientUnavailable) as caught:
            watch(status_frame(**status))

        assert caught.value.retry_after is None

    @pytest.mark.parametrize(
        "line",
        [b"{}\n", b"[]\n", b"null\n", b'{"type": "ADDED", "object": []}\n', b'{"type": "ADDED", "object": {"metadata": 7}}\n',
         b'{"type": "ADDED"\n', b"\xff\xfe\n", b"<html>\n"],
    )  # fmt: skip
    def test_refuses_what_is_no_change(self, line):
        with pytest.raises(ClientUnavailable) as caught:
            watch(line)

        assert caught.value.reason == "garbage"

    def test_bounds_a_line_that_does_not_end(self, monkeypatch):
        monkeypatch.setattr(watching, "MAX_LINE", 10_000)

        with pytest.raises(ClientUnavailable, match="larger than any object"):
            watch(b"x" * 50_000, size=5_000)

    def test_notices_that_the_connection_breaks(self):
        with pytest.raises(ClientUnavailable) as caught:
            watch(frame("ADDED", "7"), end=b"ffff\r\n{")

        assert caught.value.reason == "connect"

    @pytest.mark.parametrize(("status", "error"), [(410, Expired), (403, ClientRefused), (503, ClientUnavailable)])
    def test_is_refused_at_once(self, status, error):
        with http_server(Answer(status=status, body=b'{"kind": "Status"}')) as server, pytest.raises(error):
            list(WatchClient(Access(server.url, token="t")).watch("Pod", "1"))

    def test_asks_for_no_compression_and_for_bookmarks(self):
        with http_server(Answer(body=b"")) as server:
            list(WatchClient(Access(server.url, token="t")).watch("Event", "a/b", field_selector="type=Warning"))

        asked = server.received[0]
        assert asked.path == (
            "/api/v1/events?watch=true&resourceVersion=a%2Fb&allowWatchBookmarks=true"
            "&timeoutSeconds=300&fieldSelector=type%3DWarning"
        )
        assert "accept-encoding" not in asked.headers or asked.headers["accept-encoding"] == "identity"


class TestListing:
    def test_is_followed_by_a_watch_from_its_last_page(self):
        pages = [
            {
                "kind": "PodList",
                "metadata": {"resourceVersion": "x1", "continue": "c"},
                "items": [{"metadata": {"name": "a"}}],
            },
            {"kind": "PodList", "metadata": {"resourceVersion": "x1"}, "items": None},
        ]
        with http_server(*(Answer(body=orjson.dumps(page)) for page in pages)) as server:
            listing = WatchClient(Access(server.url, token="t")).listing("Pod")
            names = [one["metadata"]["name"] for one in listing]

        assert (names, listing.version) == (["a"], "x1")
        assert "continue=c" in server.received[1].path


class TestExists:
    @pytest.mark.parametrize(("status", "found"), [(200, True), (404, False)])
    def test_asks_for_no_content(self, status, found):
        with http_server(Answer(status=status, body=b"{}")) as server:
            assert WatchClient(Access(server.url, token="t")).exists("Secret", "key", "shop") is found

        assert "PartialObjectMetadata" in server.received[0].headers["accept"]

    def test_is_unknown_when_it_is_forbidden(self):
        with http_server(Answer(status=403, body=b"{}")) as server, pytest.raises(ClientRefused):
            WatchClient(Access(server.url, token="t")).exists("Secret", "key", "shop")
