"""The API beside its references: `python -m bench.api [--incidents N] [--keep] [--seconds S] [--rounds N]`.

List, filtered list, single incident, timeline and acknowledgement, each measured by `wrk` with 8 connections on the service, on
`bench/reference/floor` and on `bench/reference/stock` in turns, then the same statements by `pgbench` with 8 clients. All stand on
the same rows, and their answers are compared before anything is timed; an answer of 4xx or 5xx ends the run.
"""

import argparse
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import endpoints, results, servers, wrk
from bench.endpoints import Contenders, Samples
from bench.reference.floor import statements
from bench.servers import Installation
from bench.wrk import Call, Measured

ACKNOWLEDGE = "acknowledge"
# ratio to floor, ratio to stock that the service is to reach
GOALS = {
    "list": (0.5, 80),
    "filtered": (0.5, 12),
    "single": (0.45, 12),
    "timeline": (0.5, None),
    ACKNOWLEDGE: (0.8, None),
}


def measure(of: Contenders, who: str, name: str, calls: Sequence[Call], *, seconds: float) -> Measured:
    once = name == ACKNOWLEDGE
    if once:
        endpoints.reset(of.at)
        # a share of its own for each: when a measurement ends, its last requests are still under way
        calls = calls[list(of.urls).index(who) :: len(of.urls)]
    return wrk.start(of.urls[who], calls, headers=of.headers, seconds=seconds, once=once).result()


def compare(
    of: Contenders, calls: Mapping[str, Sequence[Call]], *, seconds: float, rounds: int
) -> dict[str, dict[str, Measured]]:
    """For each endpoint the median of each contender."""
    found = {}
    for name, those in calls.items():
        turns: dict[str, Callable[[], Measured]] = {
            who: partial(measure, of, who, name, those, seconds=seconds) for who in of.urls
        }
        for turn in of.urls:  # connections, prepared statements and pages of the database are warm
            wrk.start(
                of.urls[turn], calls["list"] if name == ACKNOWLEDGE else those, headers=of.headers, seconds=1
            ).result()
        found[name] = wrk.alternate(turns, rounds=rounds)
        print(f"{name}: " + "; ".join(f"{who} {measured}" for who, measured in found[name].items()), flush=True)
    return found


# --- the statements alone ------------------------------------------------------------------------------------------------


def scripts(samples: Samples) -> dict[str, list[str]]:
    """`pgbench` scripts of each endpoint; it chooses among them at random."""
    spaces = samples.namespaces[:10]
    some = samples.names[:40]
    filters = statements.FILTERS
    return {
        "list": [_filled(statements.page(()), 20, 0)],
        "filtered": [
            _filled(statements.page(filters), "Resolved", severity, space, 20, 0)
            for space in spaces
            for severity in endpoints.SEVERITIES
        ],
        "single": [_filled(statements.SINGLE, name) for name in some],
        "timeline": [_filled(statements.TIMELINE, name) for name in some],
        ACKNOWLEDGE: [_acknowledge(len(samples.open))],
    }


def _filled(statement: str, *values: object) -> str:
    for value in values:
        text = str(value) if isinstance(value, int) else "'{}'".format(str(value).replace("'", "''"))
        statement = statement.replace("%s", text, 1)
    return statement + ";\n"


def _acknowledge(count: int) -> str:
    """The same rows as an acknowledgement of the API writes."""
    name = f"'{endpoints.PREFIX}' || :number"
    update = statements.ACKNOWLEDGE.replace(" and acknowledged_at is null and state <> 'Resolved'", "")
    update = update.replace("where name = %s", f"where name = {name}")
    values = ("now()", "'bench'", "''", "'{}'::jsonb", "now()")
    for value in values:
        update = update.replace("%s", value, 1)
    script = "\n".join(
        [
            f"\\set number random(1, {count})",
            "begin;",
            f"{update} \\gset",
            statements.INSIGHT_OF.replace("%s", ":id_of") + ";",
            _insert(statements.EVENT, ":id_of", "now()", "'Acknowledged'", "'{}'"),
            _insert(
                statements.MESSAGE, "(select id from notifications_channel limit 1)", "'bench'", "'webhook'",
                "gen_random_uuid()::text", name, name, "'acknowledged'", "'Acknowledged'", "'{}'", "now()", "now()",
            ),
            _insert(statements.NEW_CHAIN, "100 + :client_id"),
            "select length + 1 as place from audit_auditchain where number = 100 + :client_id for update \\gset",
            _insert(
                statements.RECORD, "gen_random_uuid()::text", "now()", "'bench'", "'operator'", name, "'n'", name, "'{}'",
                "'127.0.0.1'", "'pgbench'", "repeat('0', 71)", "100 + :client_id", ":place", "repeat('0', 64)",
                "repeat('0', 64)",
            ),
            "update audit_auditchain set length = :place, head = repeat('0', 64) where number = 100 + :client_id;",
            "commit;\n",
        ]
    )  # fmt: skip
    script = script.replace("returning i.id,", "returning i.id as id_of,")
    return script.replace(statements.FIELDS.removeprefix("i.id, "), "i.version")


def _insert(statement: str, *values: str) -> str:
    for value in values:
        statement = statement.replace("%s", value, 1)
    return statement + ";"


def pgbench(at: Installation, name: str, texts: Sequence[str], *, seconds: float) -> float:
    """Statements (of an acknowledgement: transactions) per second with 8 clients."""
    program = shutil.which("pgbench")
    if program is None:
        raise SystemExit("the benchmarks need pgbench (part of PostgreSQL)")
    command = [
        program,
        "-n",
        "-M",
        "prepared",
        "-c",
        str(wrk.CONNECTIONS),
        "-j",
        "2",
        "-T",
        str(max(1, round(seconds))),
    ]
    for number, text in enumerate(texts):
        file = Path(at.folder) / f"{name}-{number}.sql"
        file.write_text(text, encoding="utf-8")
        command += ["-f", str(file)]
    done = subprocess.run([*command, at.database], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"pgbench failed: {done.stderr[-1000:]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps ="))
    return float(line.split()[2])


# --- the tables ----------------------------------------------------------------------------------------------------------


def show(found: Mapping[str, Mapping[str, Measured]], sql: Mapping[str, float], *, title: str) -> None:
    rows = []
    for name, by in found.items():
        ours, floor, stock = by["service"], by["floor"], by.get("stock")
        of_floor, of_stock = GOALS[name]
        rows.append(
            [
                name, f"{ours.rate:,.0f}", f"{ours.p50:.1f}", f"{ours.p99:.1f}", f"{floor.rate:,.0f}",
                f"{ours.rate / floor.rate:.2f} (≥ {of_floor})",
                f"{stock.rate:,.0f}" if stock else "", _times(ours, stock, of_stock), f"{sql.get(name, 0):,.0f}",
            ]
        )  # fmt: skip
    head = ("requests/s", "service", "p50 ms", "p99 ms", "floor", "to floor", "stock", "to stock", "SQL alone")
    results.table(title, head, rows, note="In brackets the goals. SQL alone: `pgbench`, 8 clients.")


def _times(ours: Measured, stock: Measured | None, goal: float | None) -> str:
    if stock is None:
        return ""
    return f"{ours.rate / stock.rate:.1f} ×" + (f" (≥ {goal})" if goal else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    servers.arguments(parser)
    parser.add_argument(
        "--only", action="append", default=[], choices=list(GOALS), help="one endpoint; may be repeated"
    )
    options = parser.parse_args()
    with servers.installation(options.incidents, keep=options.keep, source=options.source) as at:
        samples = endpoints.prepare(at)
        calls = {name: those for name, those in endpoints.calls(samples).items() if name in (options.only or GOALS)}
        with endpoints.contenders(at, workers=options.workers, threads=options.threads) as of:
            endpoints.check_equal(of, endpoints.calls(samples))
            found = compare(
                of, {"list": endpoints.calls(samples)["list"]} | calls, seconds=options.seconds, rounds=options.rounds
            )
            at.manage("verify_audit")
        texts = scripts(samples)
        sql = {name: pgbench(at, name, texts[name], seconds=max(2, options.seconds / 2)) for name in found}
    how = f"{wrk.CONNECTIONS} connections, median of {options.rounds} × {options.seconds:.0f} s"
    show(found, sql, title=f"API, {options.incidents:,} incidents, {how}")


if __name__ == "__main__":
    main()
