import signal
import threading
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federation.models import Cluster
from incidents.services import detection
from incidents.services.detection import PollResult


class Command(BaseCommand):
    help = (
        "Looks at the clusters in the foreground and says what it saw. Without --once it goes on until it is stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", metavar="NAME", nargs="*", help="clusters to look at, default: all enabled ones")
        parser.add_argument("--once", action="store_true", help="one look at each, due or not, and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["names"]
        self._refuse_unknown(names)
        if options["once"]:
            failed = [result for result in self._round(names) if result.error]
            if failed:
                raise CommandError(f"{len(failed)} of the clusters could not be looked at")
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.is_set():
            self._round(names)
            stopped.wait(settings.AIOPS_POLL_INTERVAL)

    def _refuse_unknown(self, names: Collection[str]) -> None:
        unknown = set(names) - set(Cluster.objects.filter(name__in=names).values_list("name", flat=True))
        if unknown:
            raise CommandError(f"No cluster is registered under {', '.join(sorted(unknown))}")

    def _round(self, names: Collection[str]) -> list[PollResult]:
        clusters = Cluster.objects.filter(name__in=names) if names else Cluster.objects.filter(enabled=True)
        results = []
        for cluster in clusters:
            at = timezone.now()
            # a worker that looks at it at this moment is not disturbed for longer than its look
            detection.claim(cluster=cluster, at=at)
            results.append(detection.poll(cluster=cluster, at=at))
            self.stdout.write(_line(results[-1]))
        if not results:
            self.stdout.write("No cluster is registered")
        return results


def _line(result: PollResult) -> str:
    if result.error:
        return f"{result.cluster}: {result.phase}: {result.error}"
    gaps = f"; not visible: {', '.join(result.gaps)}" if result.gaps else ""
    return (
        f"{result.cluster}: {result.objects} objects, {result.signals} signals, {result.opened} incidents opened, "
        f"{result.updated} signals added, {result.cleared} cleared{gaps}"
    )
