import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from aiops import documents as yaml
from aiops.audit.actor import SYSTEM
from aiops.errors import Invalid
from slos.services import library

LARGEST = 8 * 1024 * 1024  # bytes of a file


class Command(BaseCommand):
    help = (
        "Create or update SLOs from OpenSLO or Sloth files (- is standard input); exit 1 if any document was rejected."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        rejected = 0
        for name in options["files"]:
            rejected += self._load(name)
        if rejected:
            sys.exit(1)

    def _load(self, name: str) -> int:
        """Import one file; returns how many of its documents were rejected."""
        try:
            result = library.load(found=yaml.read(_text_of(name)), actor=SYSTEM, at=timezone.now())
        except Invalid as refusal:
            self.stderr.write(f"{name}: {refusal.message}. {refusal.details}".rstrip())
            return 1
        for outcome in ("created", "updated", "unchanged"):
            for slo in getattr(result, outcome):
                self.stdout.write(f"{outcome} {slo}")
        for entry in result.warnings:
            self.stderr.write(f"{name}, document {entry['document']}, {entry['name']}: {entry['warning']}")
        for entry in result.rejected:
            self.stderr.write(f"{name}, document {entry['document']}, {entry['name'] or '?'}: {entry['reason']}")
        return len(result.rejected)


def _text_of(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(LARGEST)
        if Path(name).stat().st_size > LARGEST:
            raise CommandError(f"{name} is larger than {LARGEST} bytes")
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
