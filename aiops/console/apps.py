import sys
from pathlib import Path

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig, SimpleAdminConfig
from django.db.models.signals import post_migrate

from aiops.console import roles


class ConsoleAdminConfig(AdminConfig):
    """Stands for `django.contrib.admin`: `admin.site` is the console."""

    default_site = "aiops.console.sites.ConsoleSite"

    def ready(self) -> None:
        if Path(sys.argv[0]).name == "celery":
            # worker and beat show no pages, and those would be a third of their memory
            SimpleAdminConfig.ready(self)
        else:
            super().ready()


class ConsoleConfig(AppConfig):
    name = "aiops.console"
    label = "console"

    def ready(self) -> None:
        post_migrate.connect(roles.grant_after_migrate, dispatch_uid="aiops.console.roles")
