"""The guard in CI: `python -m bench.guard`. Fails when a change makes the API slower by about a factor of two.

Absolute figures mean nothing on a shared machine, so three endpoints are compared with the floor in turns of a second each; the
median of the ratios of a turn counts, and whoever falls short is measured once more. Statements are counted as well: those of a
request must not become more, however many rows there are.
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence

from bench import endpoints, servers, wrk
from bench.endpoints import Contenders, Samples
from bench.servers import Installation
from bench.wrk import Call

# ratio to the floor below which the guard fails: some half of what was measured when the bound was set (one process)
BOUNDS = {"list": 0.28, "single": 0.24, "acknowledge": 0.24}
# statements of a request, transaction control excluded
STATEMENTS = {"list": 2, "filtered": 3, "single": 1, "timeline": 1, "acknowledge": 8}
TURNS, SECONDS = 3, 1


def ratios(of: Contenders, name: str, calls: Sequence[Call]) -> list[float]:
    """Of the rate of the service to the floor's, one per turn."""
    found = []
    for _ in range(TURNS):
        rates = {}
        for number, who in enumerate(of.urls):
            mine = calls
            if name == "acknowledge":
                endpoints.reset(of.at)
                mine = calls[number :: len(of.urls)]
            load = wrk.start(
                of.urls[who], mine, headers=of.headers, seconds=SECONDS, once=name == "acknowledge", connections=4
            )
            rates[who] = load.result().rate
        found.append(rates["service"] / rates["floor"])
    return found


def slow(of: Contenders, samples: Samples) -> list[str]:
    """One sentence per endpoint that is too slow."""
    calls, complaints = endpoints.calls(samples), []
    for who in of.urls:  # warm
        wrk.start(of.urls[who], [*calls["list"], *calls["single"]], headers=of.headers, seconds=2).result()
    for name, bound in BOUNDS.items():
        found = ratios(of, name, calls[name])
        if statistics.median(found) < bound:
            print(f"{name}: {statistics.median(found):.2f} of the floor, measured again")
            found += ratios(of, name, calls[name])
        ratio = statistics.median(found)
        print(f"{name}: {ratio:.2f} of the floor (at least {bound})", flush=True)
        if ratio < bound:
            complaints.append(f"{name} reaches {ratio:.2f} of the floor, less than {bound}")
    return complaints


def talkative(at: Installation, samples: Samples, key: str) -> list[str]:
    """One sentence per endpoint that makes too many statements."""
    os.environ.update(at.env | {"AIOPS_LOG_LEVEL": "ERROR"})
    import django

    django.setup()
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client, complaints = Client(headers={"X-API-Key": key, "Host": "127.0.0.1"}), []
    calls = endpoints.calls(samples)
    for name, most in STATEMENTS.items():
        first, second = (calls[name] * 2)[:2]
        _answer(client, first)  # what is read once per process is known now
        with CaptureQueriesContext(connection) as captured:
            _answer(client, second)
        made = [query["sql"] for query in captured.captured_queries if not _is_control(query["sql"])]
        print(f"{name}: {len(made)} statements (at most {most})")
        if len(made) > most:
            complaints.append(f"{name} makes {len(made)} statements, more than {most}: " + "; ".join(made))
    connection.close()
    return complaints


def _answer(client: object, call: Call) -> None:
    answer = client.generic(call.method, call.path, call.body, content_type="application/json")  # type: ignore[attr-defined]
    if answer.status_code >= 400:
        raise wrk.Refused(f"{call.path} was answered {answer.status_code}: {answer.content[:300]}")


def _is_control(statement: str) -> bool:
    return statement.upper().startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser, incidents=2_000)
    options = parser.parse_args()
    began = time.monotonic()
    with servers.installation(options.incidents, keep=options.keep, source=options.source) as at:
        samples = endpoints.prepare(at)
        with endpoints.contenders(at, workers=1, threads=2, stock=False) as of:
            endpoints.check_equal(of, endpoints.calls(samples))
            complaints = slow(of, samples)
            endpoints.reset(at)
            complaints += talkative(at, samples, of.headers["X-API-Key"])
    print(f"{time.monotonic() - began:.0f} s")
    if complaints:
        raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    main()
