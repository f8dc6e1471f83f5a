"""What `make run` does before the processes start. Every step may run again: a second start changes nothing."""

import secrets
import string
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.models import ApiKey
from aiops.apikeys.roles import Role
from aiops.audit.actor import SYSTEM
from aiops.errors import DomainError
from aiops.simulator.kubeconfig import kubeconfig
from federation import services as federation
from federation.models import Automation, Cluster
from runbooks.models import ApprovalPolicy
from runbooks.services import library

DEMO_CLUSTER = "simulated"
# in the demo one namespace is treated like production, so that a visitor has something to approve
DEMO_POLICY = {
    "name": "payments-needs-a-person",
    "match": {"namespaces": ["payments"]},
    "mode": "manual",
    "requiredRole": "operator",
    "requiredApprovers": 1,
    "timeoutMinutes": 60,
}


class Command(BaseCommand):
    help = "Prepares an installation: database, built-in runbooks, first account and keys, first cluster."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write("Preparing the database …")
        call_command("migrate", interactive=False, verbosity=0)
        loaded = library.load_built_in(actor=SYSTEM, at=timezone.now())
        self.stdout.write(f"Built-in runbooks: {loaded} new or changed")
        self._first_cluster()
        self._first_account()
        self.stdout.write(
            f"Starting on http://127.0.0.1:{settings.AIOPS_PORT}  console: /console/  API: /api/v1/  documentation: /api/docs/"
        )

    def _first_account(self) -> None:
        """An admin account and one key per role, shown this once."""
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists() or ApiKey.objects.exists():
            return
        password = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
        users.create_superuser(username="admin", password=password)
        self.stdout.write("\nFirst start. These are shown once; keep them:")
        self.stdout.write(f"  console   admin / {password}")
        for role in Role:
            _, key = apikeys.create(role=role, at=timezone.now(), description=f"first {role.value} key")
            self.stdout.write(f"  {role.value:<9} {key}")
        self.stdout.write("")

    def _first_cluster(self) -> None:
        if settings.AIOPS_KUBECONFIG:
            self._given_cluster(Path(settings.AIOPS_KUBECONFIG))
        else:
            self._simulated_cluster()

    def _given_cluster(self, file: Path) -> None:
        Cluster.objects.filter(name=DEMO_CLUSTER).update(enabled=False)
        if Cluster.objects.filter(enabled=True).exists():
            return
        try:
            cluster = federation.register(
                name="default", kubeconfig=federation.read_kubeconfig(file), automation=Automation.SUGGEST,
                actor=SYSTEM, at=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            raise CommandError(f"{file}: {error.message} {error.details}") from error
        self.stdout.write(f"Watching {cluster.server} in mode {cluster.automation}: it proposes, people decide")

    def _simulated_cluster(self) -> None:
        token_file = settings.DATA_DIR / "simulator_token"
        if not token_file.exists():
            token_file.parent.mkdir(parents=True, exist_ok=True)
            token_file.touch(mode=0o600)
            token_file.write_text(secrets.token_urlsafe(24))
        url = f"http://127.0.0.1:{settings.AIOPS_SIMULATOR_PORT}"
        federation.register(
            name=DEMO_CLUSTER, kubeconfig=kubeconfig(url=url, token=token_file.read_text()), display_name="Simulated cluster",
            automation=Automation.AUTO, environment="dev", tier="non-critical", actor=SYSTEM, at=timezone.now(),
        )  # fmt: skip
        Cluster.objects.filter(name=DEMO_CLUSTER).update(enabled=True)
        now = timezone.now()
        ApprovalPolicy.objects.get_or_create(
            name="demo",
            defaults={"rules": [DEMO_POLICY], "default_mode": "auto", "created_at": now, "updated_at": now},
        )
        self.stdout.write("Watching the bundled simulated cluster (set KUBECONFIG to watch a real one)")
