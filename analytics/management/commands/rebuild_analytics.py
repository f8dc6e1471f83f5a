"""`manage.py rebuild_analytics`: the roll-ups from the raw rows, or the proof that they agree."""

from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.models import OutdatedHour
from analytics.services import rollups

SHOWN = 20


class Command(BaseCommand):
    help = "Rebuild the roll-ups that analytics reads; with --check only compare them with the raw rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 on a difference")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            self.stdout.write(f"{rollups.rebuild()} days rebuilt")
            return
        found = list(islice(rollups.differences(), SHOWN))
        if found:
            raise CommandError("\n".join(found), returncode=1)
        waiting = OutdatedHour.objects.values("family", "hour").distinct().count()
        self.stdout.write(f"The roll-ups equal the raw rows ({waiting} hours changed a moment ago and wait).")
