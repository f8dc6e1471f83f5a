import os
import secrets
import signal
import socket
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from prometheus_client import start_http_server

from incidents.services.observing import Observer


class Command(BaseCommand):
    help = "Follows every change in the clusters, as their API servers tell it. Several observers share the clusters."

    # the checks load every view and form, a third of the memory of a process that serves none; the web process makes them
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--most",
            type=int,
            default=settings.AIOPS_OBSERVER_CLUSTERS,
            help="clusters that this process takes at most",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        if settings.AIOPS_OBSERVER_METRICS_PORT:
            start_http_server(settings.AIOPS_OBSERVER_METRICS_PORT, addr=settings.AIOPS_OBSERVER_METRICS_HOST)
        holder = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(4)}"
        Observer(holder=holder, most=max(1, options["most"]), stopped=stopped).run()
