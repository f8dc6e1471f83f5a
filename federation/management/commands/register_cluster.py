from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from aiops.audit.actor import SYSTEM
from aiops.errors import DomainError
from federation import services
from federation.models import Automation, Tier

# option -> column; what is not given stays as it is
COLUMNS = ("tier", "region", "environment", "automation", "display_name", "provider")


class Command(BaseCommand):
    help = "Registers a cluster, or brings its registration up to date. The kubeconfig is checked and stored encrypted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--kubeconfig", metavar="FILE", type=Path, help="files that it refers to are read in as well"
        )
        source.add_argument("--in-cluster", action="store_true", help="use the service account of this pod")
        parser.add_argument("--context", default="", help="context of the kubeconfig, default: the current one")
        parser.add_argument("--tier", choices=Tier.values)
        parser.add_argument("--region")
        parser.add_argument("--environment", help="prod, staging or dev")
        parser.add_argument("--prometheus", metavar="URL", help="base URL of the Prometheus that watches the cluster")
        parser.add_argument("--automation", choices=Automation.values, help="how far the platform may go by itself")
        parser.add_argument("--display-name")
        parser.add_argument("--provider")
        parser.add_argument(
            "--insecure-skip-tls-verify",
            action="store_true",
            help="accept a kubeconfig that does not verify the API server's certificate; recorded in the audit log",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        attributes = {column: options[column] for column in COLUMNS if options[column] is not None}
        if options["prometheus"] is not None:
            attributes["prometheus_url"] = options["prometheus"]
        at = timezone.now()
        try:
            if options["in_cluster"]:
                cluster = services.register_in_cluster(name=options["name"], actor=SYSTEM, at=at, **attributes)
            else:
                insecure = options["insecure_skip_tls_verify"]
                text = services.read_kubeconfig(
                    options["kubeconfig"], context=options["context"], allow_insecure=insecure
                )
                cluster = services.register(
                    name=options["name"], kubeconfig=text, actor=SYSTEM, at=at, allow_insecure=insecure, **attributes
                )
        except DomainError as error:
            raise CommandError(f"{error.message}. {error.details}".rstrip()) from error
        self.stdout.write(f"{cluster.name} is registered: {cluster.server}, automation {cluster.automation}")
