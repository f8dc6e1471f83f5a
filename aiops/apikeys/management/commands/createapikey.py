import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from aiops.apikeys import services
from aiops.apikeys.roles import Role


def moment(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("not an ISO 8601 date or time") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Create an API key and print it, once. Nothing else goes to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--description", default="")
        parser.add_argument("--owner", default="", help="e-mail or login of the person or system behind the key")
        parser.add_argument(
            "--expires", type=moment, metavar="TIME", help="ISO 8601 date or time, UTC if it has no offset"
        )
        parser.add_argument("--namespace", action="append", default=[], help="allowed namespace, may be repeated")
        parser.add_argument("--cluster", action="append", default=[], help="allowed cluster, may be repeated")

    def handle(self, *args: Any, **options: Any) -> None:
        _, key = services.create(
            role=Role(options["role"]),
            at=timezone.now(),
            description=options["description"],
            owner=options["owner"],
            expires_at=options["expires"],
            namespaces=options["namespace"],
            clusters=options["cluster"],
        )
        self.stdout.write(key)
