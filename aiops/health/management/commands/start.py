from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aiops import processes
from aiops.celery import app


class Command(BaseCommand):
    help = "Runs processes of the Procfile together, sharing memory, until one ends or Ctrl-C."

    # each process makes its own
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME", help="such as web, worker, beat, observer")

    def handle(self, *args: Any, **options: Any) -> None:
        known = processes.read_procfile(settings.BASE_DIR / "Procfile")
        missing = [name for name in options["names"] if name not in known]
        if missing:
            raise CommandError(f"The Procfile has no {', '.join(missing)}; it has {', '.join(known)}")
        app.loader.import_default_modules()  # whatever is loaded before the fork is shared
        raise SystemExit(processes.start({name: known[name] for name in dict.fromkeys(options["names"])}))
