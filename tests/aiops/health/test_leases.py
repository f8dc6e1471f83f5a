from datetime import timedelta

import pytest
from django_celery_beat.models import PeriodicTasks

from aiops.beat import LOOK_EVERY, LeasedScheduler
from aiops.celery import app
from aiops.health import leases
from aiops.health.models import Lease
from tests.conftest import NOON
from tests.threads import at_once, postgresql_only

LASTS = timedelta(seconds=30)


def hold(holder: str, at=NOON) -> bool:
    return leases.hold(name="beat", holder=holder, lasts=LASTS, at=at)


@pytest.mark.django_db
class TestHold:
    def test_one_holds_and_renews(self):
        assert hold("a")
        assert not hold("b", NOON + timedelta(seconds=20))
        assert hold("a", NOON + timedelta(seconds=20))
        assert not hold("b", NOON + timedelta(seconds=40))

    def test_another_takes_over_after_the_end(self):
        hold("a")

        assert hold("b", NOON + LASTS)
        assert not hold("a", NOON + LASTS)

    def test_a_release_frees_it_at_once(self):
        hold("a")
        leases.release(name="beat", holder="b")
        assert not hold("b")
        leases.release(name="beat", holder="a")

        assert hold("b")


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_exactly_one_gets_it(self):
        postgresql_only()

        assert at_once(8, lambda number: hold(f"h{number}")).count(True) == 1

    def test_exactly_one_gets_an_expired_one(self):
        postgresql_only()
        hold("dead")

        assert at_once(8, lambda number: hold(f"h{number}", NOON + LASTS)).count(True) == 1


@pytest.mark.django_db(transaction=True)
class TestScheduler:
    def test_only_the_holder_ticks(self):
        first, second = LeasedScheduler(app=app), LeasedScheduler(app=app)

        first.tick()
        second.tick()

        assert (first.is_active, second.is_active) == (True, False)

    def test_another_takes_over_when_it_ends(self):
        first, second = LeasedScheduler(app=app), LeasedScheduler(app=app)
        first.tick()
        second.tick()
        Lease.objects.update(expires_at=NOON.replace(year=2000))

        second.tick()
        first.looked_at -= LOOK_EVERY
        first.tick()

        assert (first.is_active, second.is_active) == (False, True)

    def test_an_orderly_end_frees_the_lease(self):
        first = LeasedScheduler(app=app)
        first.tick()
        first.close()

        assert not Lease.objects.exists()

    def test_an_edited_schedule_is_noticed(self):
        scheduler = LeasedScheduler(app=app)
        scheduler.tick()

        PeriodicTasks.update_changed()

        assert not scheduler.schedule_changed()
        scheduler.compared_at -= LOOK_EVERY
        assert scheduler.schedule_changed()
