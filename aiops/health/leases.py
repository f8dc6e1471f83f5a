"""Leases: of several equal processes one is active. Taking and renewing is one conditional UPDATE, so two never both win."""

from datetime import datetime, timedelta

from django.db.models import Q

from aiops.health.models import Lease


def hold(*, name: str, holder: str, lasts: timedelta, at: datetime) -> bool:
    """Take the lease if it is free or expired, renew it if it is ours. False: another holder is alive."""
    mine = Q(holder=holder) | Q(expires_at__lte=at)
    changes = {"holder": holder, "expires_at": at + lasts}
    if Lease.objects.filter(mine, name=name).update(**changes):
        return True
    if Lease.objects.filter(name=name).exists():
        return False
    Lease.objects.bulk_create([Lease(name=name, **changes)], ignore_conflicts=True)
    return Lease.objects.filter(name=name, holder=holder).exists()


def release(*, name: str, holder: str) -> bool:
    """Give the lease back so that the next one need not wait for its end. False when it was not the holder's any more."""
    return bool(Lease.objects.filter(name=name, holder=holder).delete()[0])


def renew(*, prefix: str, holder: str, lasts: timedelta, at: datetime) -> set[str]:
    """Renew all leases of the holder whose name begins so, in one statement. Returns those that are still ours."""
    ours = Lease.objects.filter(name__startswith=prefix, holder=holder, expires_at__gt=at)
    ours.update(expires_at=at + lasts)
    return set(ours.values_list("name", flat=True))


def living(*, prefix: str, at: datetime) -> dict[str, str]:
    """Name and holder of all leases that are held and begin so."""
    return dict(Lease.objects.filter(name__startswith=prefix, expires_at__gt=at).values_list("name", "holder"))
