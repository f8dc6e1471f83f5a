"""`manage.py detect`: the detectors over files, without a cluster and without a database."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents.detectors import ClusterView, Context, Finding, Verdict, detect
from incidents.detectors.base import ref_of
from incidents.detectors.fields import Obj, parse_time
from incidents.detectors.files import UnreadableFile, read_objects
from incidents.detectors.ownership import owner_of

UNREADABLE = 2


class Command(BaseCommand):
    help = "Tell healthy, progressing and anomalous Kubernetes objects apart in YAML or JSON files."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="YAML or JSON, several documents and lists allowed"
        )
        parser.add_argument("--now", metavar="TIME", help="judge as of this RFC 3339 time (default: the present)")
        parser.add_argument("-o", "--output", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        now = _moment(options["now"])
        try:
            objects = [(name, obj) for name in options["files"] for obj in read_objects(Path(name))]
        except UnreadableFile as error:
            raise CommandError(str(error), returncode=UNREADABLE) from error
        view = ClusterView.of(obj for _, obj in objects)
        context = Context(now=now, related=view)
        found = [(name, obj, detect(obj, context)) for name, obj in objects]
        if options["output"] == "json":
            rows = [_row(name, obj, finding, view) for name, obj, finding in found]
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False))
            return
        for _, obj, finding in found:
            self.stdout.write(_lines(obj, finding, view))


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    moment = parse_time(text)
    if moment is None:
        raise CommandError(f"--now {text!r} is not an RFC 3339 time", returncode=UNREADABLE)
    return moment


def _row(name: str, obj: Obj, finding: Finding, view: ClusterView) -> dict[str, Any]:
    """One object as extension X8 words it; what is only informational is no sign of a fault and stays out."""
    ref, owner = ref_of(obj), owner_of(obj, view)
    is_anomalous = finding.verdict is Verdict.ANOMALOUS
    return {
        "file": name,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "signals": [
            {
                "signalType": signal.signal_type,
                "severity": signal.severity,
                "reason": signal.reason,
                "resource": str(owner),
            }
            for signal in finding.signals
            if is_anomalous
        ],
        "verdict": str(finding.verdict),
    }


def _lines(obj: Obj, finding: Finding, view: ClusterView) -> str:
    """One object for a person's eyes, informational signals included."""
    ref, owner = ref_of(obj), owner_of(obj, view)
    where = f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
    signals = [
        f"    {'info' if signal.informational else signal.severity:8} {signal.signal_type}: {signal.message} [{owner}]"
        for signal in finding.signals
    ]
    return "\n".join([f"{finding.verdict:11} {ref.kind} {where}", *signals])
