from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from runbooks.services import library


class Command(BaseCommand):
    help = "Brings the built-in runbooks up to date. Those that people have changed are left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        count = library.load_built_in(actor=SYSTEM, at=timezone.now())
        self.stdout.write(f"{count} built-in runbooks new or changed")
