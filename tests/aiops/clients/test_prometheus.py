import math
from typing import Any

import orjson
import pytest

from aiops.clients import prometheus
from aiops.clients.addresses import AddressRefused
from aiops.clients.errors import ClientRefused, ClientUnavailable, Denied, Rejected
from aiops.clients.prometheus import PrometheusClient, Samples, SeveralSeries
from tests.conftest import NOON
from tests.servers import Answer, http_server


def success(kind: str, result: Any, **more: Any) -> Answer:
    return Answer(body=orjson.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}))


def ask(answer: Answer) -> Samples:
    with http_server(answer) as server:
        return PrometheusClient(server.url).query("up", NOON)


class TestQuery:
    def test_reads_a_vector(self) -> None:
        assert ask(success("vector", [{"metric": {}, "value": [1807264800, "0.5"]}])).values == {1807264800: 0.5}

    def test_reads_a_scalar(self) -> None:
        assert ask(success("scalar", [1807264800, "3"])).values == {1807264800: 3}

    def test_takes_the_empty_vector_for_no_data(self) -> None:
        assert ask(success("vector", [])).values == {}

    @pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
    def test_knows_what_is_no_number(self, text: str) -> None:
        samples = ask(success("vector", [{"metric": {}, "value": [1, text]}]))

        assert not math.isfinite(samples.values[1])
        assert samples.finite == {}

    def test_refuses_several_series(self) -> None:
        with pytest.raises(SeveralSeries, match="2 series instead of one"):
            ask(success("vector", [{"metric": {"a": "b"}, "value": [1, "1"]}, {"metric": {}, "value": [1, "1"]}]))

    def test_passes_warnings_on(self) -> None:
        assert ask(success("vector", [], warnings=["partial response"])).warnings == ("partial response",)

    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', Rejected),
            (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', Rejected),
            (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', ClientUnavailable),
            (500, b"oops", ClientUnavailable),
            (429, b"", ClientUnavailable),
            (401, b"", Denied),
            (302, b"", ClientRefused),
            (200, b"<html>", ClientRefused),
            (200, b"[1]", ClientRefused),
            (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":["a"]}]}}', ClientRefused),
            (200, b'{"status":"success","data":null}', ClientRefused),
        ],
    )
    def test_tells_not_now_from_no(self, status: int, body: bytes, error: type[Exception]) -> None:
        with pytest.raises(error):
            ask(Answer(status=status, body=body))

    def test_gives_up_on_a_server_that_is_away(self) -> None:
        with pytest.raises(ClientUnavailable, match="cannot be reached"):
            PrometheusClient("http://127.0.0.1:1").query("up", NOON)

    def test_bounds_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prometheus, "MOST_BYTES", 10)

        with pytest.raises(ClientRefused, match="too large"):
            ask(success("vector", []))


class TestAddress:
    def test_is_looked_at_before_anything_is_sent(self, settings: Any) -> None:
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False
        with http_server(success("vector", [])) as server:
            with pytest.raises(AddressRefused):
                PrometheusClient(server.url).query("up", NOON)

            assert server.received == []

    @pytest.mark.parametrize("url", ["ftp://prometheus.example", "prometheus.example", "file:///etc/passwd"])
    def test_needs_http(self, url: str) -> None:
        with pytest.raises(AddressRefused):
            PrometheusClient(url).query("up", NOON)


class TestQueryRange:
    def test_reads_a_matrix(self) -> None:
        with http_server(success("matrix", [{"metric": {}, "values": [[60, "1"], [120, "2"]]}])) as server:
            samples = PrometheusClient(server.url).query_range("up", start=60, end=120, step=60)

            assert samples.values == {60: 1, 120: 2}
            assert b"start=60&end=120&step=60" in server.received[0].body

    def test_refuses_too_many_points(self) -> None:
        with pytest.raises(ClientRefused):
            PrometheusClient("http://127.0.0.1:1").query_range("up", start=0, end=11_000 * 60, step=60)


class TestSpan:
    def test_cuts_ranges_without_overlap(self) -> None:
        assert prometheus.span(60, 600, 60, most=4) == [(60, 240), (300, 480), (540, 600)]
