from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate

from aiops.console import roles


class ConsoleAdminConfig(AdminConfig):
    """Stands for `django.contrib.admin`: `admin.site` is the console."""

    default_site = "aiops.console.sites.ConsoleSite"


class ConsoleConfig(AppConfig):
    name = "aiops.console"
    label = "console"

    def ready(self) -> None:
        post_migrate.connect(roles.grant_after_migrate, dispatch_uid="aiops.console.roles")
