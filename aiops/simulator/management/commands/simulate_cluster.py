import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aiops.simulator.scenarios import SCENARIOS
from aiops.simulator.standalone import add_arguments, as_arguments


class Command(BaseCommand):
    help = "Serve a simulated Kubernetes cluster that gets sick in a known way."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)
        parser.add_argument("--list", action="store_true", help="print the scenarios, one per line, and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for name, scenario in SCENARIOS.items():
                self.stdout.write(f"{name:<18}{scenario.description}")
            return
        if options["scenario"] not in SCENARIOS:
            raise CommandError(f"unknown scenario {options['scenario']!r}; known: {', '.join(SCENARIOS)}")
        # the same process goes on without Django, which the server has no use for: half the memory, same process id
        path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "aiops.simulator", *as_arguments(options)]
        os.execve(sys.executable, command, os.environ | {"PYTHONPATH": path})  # noqa: S606 -- our own module, no shell
