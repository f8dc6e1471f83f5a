"""Acknowledgements by 1, 4 and 16 writers at once: `python -m bench.writers [--incidents N] [--keep] [--seconds S] [--rounds N]`.

Shows whether the audit chain makes writers wait for each other: with one chain for all, 16 writers would get no more done than
one. Service and floor are measured in turns; the log is verified at the end.
"""

import argparse
from functools import partial

from bench import endpoints, results, servers, wrk
from bench.endpoints import Contenders
from bench.wrk import Call, Measured

WRITERS = (1, 4, 16)


def measure(of: Contenders, who: str, calls: list[Call], *, writers: int, seconds: float) -> Measured:
    endpoints.reset(of.at)
    share = calls[list(of.urls).index(who) :: len(of.urls)]
    return wrk.start(of.urls[who], share, headers=of.headers, seconds=seconds, connections=writers, once=True).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser, incidents=100_000, seconds=3)
    options = parser.parse_args()
    rows = []
    with servers.installation(options.incidents, keep=options.keep, source=options.source) as at:
        calls = endpoints.calls(endpoints.prepare(at))["acknowledge"]
        # enough threads that 16 writers meet in the database, and not before it
        threads = max(options.threads, -(-max(WRITERS) // options.workers))
        with endpoints.contenders(at, workers=options.workers, threads=threads, stock=False) as of:
            alone = 0.0
            for writers in WRITERS:
                turns = {
                    who: partial(measure, of, who, calls, writers=writers, seconds=options.seconds) for who in of.urls
                }
                found = wrk.alternate(turns, rounds=options.rounds)
                ours, floor = found["service"], found["floor"]
                alone = alone or ours.rate
                rows.append(
                    [
                        writers, f"{ours.rate:,.0f}", f"{ours.rate / alone:.1f} ×", f"{ours.p50:.1f}", f"{ours.p99:.1f}",
                        f"{floor.rate:,.0f}", f"{ours.rate / floor.rate:.2f}",
                    ]
                )  # fmt: skip
            at.manage("verify_audit")
    head = ("writers", "acknowledgements/s", "to one writer", "p50 ms", "p99 ms", "floor", "to floor")
    results.table(
        f"Acknowledge, {options.incidents:,} incidents", head, rows, note="The audit log was verified afterwards."
    )


if __name__ == "__main__":
    main()
