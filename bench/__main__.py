"""All benchmarks, one after the other: `python -m bench [--incidents N] [--keep] [--minutes M] [--only NAME] [--smoke]`.

Each runs on its own too, see its docstring for options. Writes `bench/results.md` with the parts that ran, unless the smoke run was
asked for. `--smoke` is for CI: a small database and short rounds show that the harness works, not how fast anything is.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import results, servers

# the references first, while the machine is quiet; then in the order in which a signal goes through the platform
SIZED = ("api", "reads", "writers", "alerts", "mixed", "growth")
FRESH = ("storm", "pipeline")
OWN = ("detect", "journeys", "slos", "analytics", "federation", "events")  # they make their own, small installations
ALL = ("api", "reads", "writers", "alerts", "storm", "pipeline", "mixed", "growth", *OWN)
SMOKE = ("api", "reads")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """The arguments of each part."""
    sized = ["--incidents", str(options.incidents), "--keep"]
    if options.source:
        sized += ["--source", options.source]
    arguments = {name: list(sized) for name in SIZED} | {name: [] for name in (*FRESH, *OWN)}
    arguments["mixed"] += ["--minutes", f"{options.minutes:g}"]
    if options.smoke:
        for name in SIZED:
            arguments[name] += ["--seconds", "1", "--rounds", "1"]
    names = options.only or (SMOKE if options.smoke else ALL)
    return {name: arguments[name] for name in names}


def run(name: str, arguments: list[str], env: dict[str, str]) -> bool:
    print(f"\n== bench.{name}", flush=True)
    if name in OWN:  # without a database named they throw theirs away
        env = {key: value for key, value in env.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    began = time.monotonic()
    code = subprocess.call([sys.executable, "-m", f"bench.{name}", *arguments], env=env, cwd=servers.ROOT)
    print(f"-- {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--incidents", type=int, default=0, metavar="N", help="default: 1,000,000; of the smoke run 2,000"
    )
    parser.add_argument("--keep", action="store_true", help="leave the generated histories for the next run")
    parser.add_argument("--source", default="", metavar="DATABASE", help="copy this database instead of generating one")
    parser.add_argument("--minutes", type=float, default=5, help="of mixed load")
    parser.add_argument("--only", action="append", default=[], choices=ALL, help="one part; may be repeated")
    parser.add_argument("--smoke", action="store_true", help="small and short")
    options = parser.parse_args()
    options.incidents = options.incidents or (2_000 if options.smoke else 1_000_000)
    began, parts = time.monotonic(), commands(options)
    with tempfile.TemporaryDirectory(prefix="aiops-bench-") as folder:
        env = os.environ | {results.PARTS: folder}
        made = []
        failed = []
        try:
            if not options.source and set(parts) & set(SIZED):
                made = prepare(options, parts)
                env |= {servers.MIGRATED: "1"}
            failed = [name for name, arguments in parts.items() if not run(name, arguments, env)]
        finally:
            if not options.keep:
                for name in made:
                    servers.drop(name)
        if not options.smoke:
            said = [f"python -m bench.{name} {' '.join(arguments)}".rstrip() for name, arguments in parts.items()]
            results.write(Path(folder) / "tables.md", commands=said, seconds=time.monotonic() - began, failed=failed)
            print(f"\nwritten: {results.FILE}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def prepare(options: argparse.Namespace, parts: dict[str, list[str]]) -> list[str]:
    """Make or migrate the histories that the parts need; the names of those that were not there before."""
    from bench.growth import sizes

    wanted = sizes(options.incidents) if "growth" in parts else [options.incidents]
    return [name for size in wanted if (name := servers.prepare_history(size))]


if __name__ == "__main__":
    main()
