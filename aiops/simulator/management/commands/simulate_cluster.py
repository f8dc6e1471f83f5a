import asyncio
import gc
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aiops.simulator.cluster import DEFAULT_SPEED, Cluster
from aiops.simulator.scenarios import SCENARIOS
from aiops.simulator.serving import serve_until_stopped


class Command(BaseCommand):
    help = "Serve a simulated Kubernetes cluster that gets sick in a known way."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
        parser.add_argument("--scenario", default="healthy", help="what happens in it; see --list")
        parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig to this file before serving")
        parser.add_argument(
            "--speed", type=float, default=DEFAULT_SPEED, help="how many times faster than real (default: %(default)g)"
        )
        parser.add_argument("--token", default="", help="bearer token clients must send; random when not given")
        parser.add_argument("--token-file", type=Path, help="read that token from this file instead")
        parser.add_argument("--list", action="store_true", help="print the scenarios, one per line, and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for name, scenario in SCENARIOS.items():
                self.stdout.write(f"{name:<18}{scenario.description}")
            return
        if options["scenario"] not in SCENARIOS:
            raise CommandError(f"unknown scenario {options['scenario']!r}; known: {', '.join(SCENARIOS)}")
        try:
            asyncio.run(self._serve(options))
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot serve the simulated cluster: {error}") from error

    async def _serve(self, options: dict[str, Any]) -> None:
        token, file = options["token"], options["token_file"]
        cluster = Cluster(speed=options["speed"], token=file.read_text().strip() if file else token)
        gc.freeze()  # what was imported stays; collections need not look at it again
        await serve_until_stopped(
            cluster,
            host=options["host"],
            port=options["port"],
            scenario=options["scenario"],
            config=options["kubeconfig"],
            announce=self._announce,
        )

    def _announce(self, url: str) -> None:
        self.stdout.write(f"simulated cluster serves at {url}")
        self.stdout.flush()
