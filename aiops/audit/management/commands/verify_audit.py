import sys
from typing import Any

from django.core.management.base import BaseCommand

from aiops.audit import services
from aiops.audit.models import AuditEvent


class Command(BaseCommand):
    help = "Proves that no audit record was changed, removed or inserted. Exit code 1 and the first broken record otherwise."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = next(services.verify(), None)
        if broken:
            self.stderr.write(f"The audit log is broken: {broken}")
            sys.exit(1)
        self.stdout.write(f"The audit log holds: {AuditEvent.objects.count()} records")
