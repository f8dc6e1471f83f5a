"""`manage.py generate_history`: an invented past, for demos and benchmarks (X8)."""

import time
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from aiops.api.formats import format_time, parse_time
from analytics.services.generating import Order, generate

MOST_INCIDENTS, MOST_DAYS = 10_000_000, 3_650


class Command(BaseCommand):
    help = "Fill the database with realistic incidents and everything around them. Same seed and end, same data."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--incidents", type=int, required=True, metavar="N")
        parser.add_argument("--days", type=int, default=90, metavar="D", help="the past days they are spread over")
        parser.add_argument("--seed", type=int, default=1, metavar="S")
        parser.add_argument("--until", metavar="TIME", help="where the past ends (default: the last full hour)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["incidents"] <= MOST_INCIDENTS:
            raise CommandError(f"--incidents must lie between 1 and {MOST_INCIDENTS}")
        if not 1 <= options["days"] <= MOST_DAYS:
            raise CommandError(f"--days must lie between 1 and {MOST_DAYS}")
        until = _end(options["until"])
        order = Order(options["incidents"], until - timedelta(days=options["days"]), until, options["seed"])
        began = time.monotonic()
        counts = generate(order, tell=self.stderr.write if options["verbosity"] > 1 else lambda line: None)
        for table, count in sorted(counts.items()):
            self.stdout.write(f"{count:>12,}  {table}")
        took = time.monotonic() - began
        self.stdout.write(f"{sum(counts.values()):>12,}  rows in {took:.1f} s, until {format_time(until)}")


def _end(text: str | None) -> datetime:
    # the last full hour, so that two runs within an hour agree
    if text is None:
        return timezone.now().replace(minute=0, second=0, microsecond=0)
    try:
        return parse_time(text)
    except ValueError as error:
        raise CommandError(f"--until {text!r} is not an RFC 3339 time") from error
