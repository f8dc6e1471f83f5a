"""The console's groups: viewer, operator and admin mean there what they mean for keys.

Viewers and operators look; what operators do goes through services that check the role. Admins may edit everything.
"""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps

GROUPS = ("viewer", "operator", "admin")  # lowest first
# nothing an operator needs, and the place where access is given
ADMINS_ONLY = frozenset({"admin", "auth", "contenttypes", "sessions", "apikeys"})


def grant_after_migrate(sender: AppConfig, using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """Make the groups and give them the permissions of one app, which Django has just created. Takes none away."""
    if "auth" not in apps.app_configs:
        return
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    permissions = permission_model.objects.using(using).filter(content_type__app_label=sender.label)
    looking = [permission for permission in permissions if permission.codename.startswith("view_")]
    for name in GROUPS:
        group, _ = group_model.objects.using(using).get_or_create(name=name)
        if name == "admin":
            group.permissions.add(*permissions)
        elif sender.label not in ADMINS_ONLY:
            group.permissions.add(*looking)
