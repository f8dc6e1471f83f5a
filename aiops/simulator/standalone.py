"""The simulated cluster as a process of its own, without Django: half the memory, nothing of the project configured."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from aiops.simulator.cluster import DEFAULT_SPEED, Cluster
from aiops.simulator.serving import serve_until_stopped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `manage.py simulate_cluster` and of this process; they are the same."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    parser.add_argument("--scenario", default="healthy", help="what happens in it; see --list")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig to this file before serving")
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help="how many times faster than real (default: %(default)g)"
    )
    parser.add_argument("--token", default="", help="bearer token clients must send; random when not given")
    parser.add_argument("--token-file", type=Path, help="read that token from this file instead")


def as_arguments(options: dict[str, object]) -> list[str]:
    """Parsed options as a command line again."""
    names = ("host", "port", "scenario", "kubeconfig", "speed", "token", "token_file")
    given = [(name, options[name]) for name in names if options[name] not in (None, "")]
    return [f"--{name.replace('_', '-')}={value}" for name, value in given]


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal comes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="simulate_cluster")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot serve the simulated cluster: {error}\n")
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    token = options.token_file.read_text().strip() if options.token_file else options.token
    cluster = Cluster(speed=options.speed, token=token)
    gc.freeze()  # what was imported stays; collections need not look at it again
    await serve_until_stopped(
        cluster,
        host=options.host,
        port=options.port,
        scenario=options.scenario,
        config=options.kubeconfig,
        announce=_announce,
    )


def _announce(url: str) -> None:
    sys.stdout.write(f"simulated cluster serves at {url}\n")
    sys.stdout.flush()
