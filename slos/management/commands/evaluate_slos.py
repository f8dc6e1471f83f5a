from collections.abc import Collection
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from slos.models import SLO
from slos.services import evaluation

BATCH = 500


class Command(BaseCommand):
    help = "Evaluates SLOs now, due or not, in the foreground, and says what was found."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", metavar="NAME", nargs="*", help="SLOs to evaluate, default: all enabled ones")

    def handle(self, *args: Any, **options: Any) -> None:
        unmeasured = 0
        slos = self._wanted(options["names"])
        for start in range(0, len(slos), BATCH):
            for slo in evaluation.evaluate(slos=slos[start : start + BATCH], at=timezone.now()):
                unmeasured += slo.current is None
                self.stdout.write(_line(slo))
        if unmeasured:
            raise CommandError(f"{unmeasured} of the SLOs could not be measured")

    def _wanted(self, names: Collection[str]) -> list[SLO]:
        slos = list(SLO.objects.filter(name__in=names) if names else SLO.objects.filter(enabled=True))
        unknown = set(names) - {slo.name for slo in slos}
        if unknown:
            raise CommandError(f"No SLO is called {', '.join(sorted(unknown))}")
        return slos


def _line(slo: SLO) -> str:
    value = "unknown" if slo.current is None else f"{slo.current:.4f} {slo.target_unit}"
    left = "" if slo.budget_remaining is None else f", {slo.budget_remaining:.1f} of {slo.budget_total:.1f} min left"
    reason = f" ({slo.status_reason})" if slo.status_reason else ""
    return f"{slo.namespace}/{slo.name}: {slo.status}, {value}{left}{reason}"
