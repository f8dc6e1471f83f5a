"""PostgreSQL throws every connection out, as it does when it restarts."""

import pytest
from django.db import connection
from django.utils import timezone

from federation.models import Cluster
from tests.factories import make_cluster
from tests.processes import Process, eventually
from tests.threads import postgresql_only

pytestmark = [pytest.mark.journey, pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def on_postgresql():
    postgresql_only()


def test_web_answers_the_next_request(stack, connect):
    client = connect(stack.start_web())
    assert client.get("/incidents").status_code == 200

    assert throw_everybody_out() > 0

    assert client.get("/incidents").status_code == 200
    assert client.post("/alerts/generic", json={"title": "Disk full"}).status_code == 202


def test_worker_and_beat_go_on(stack):
    make_cluster(name="harbor", next_poll_at=timezone.now())
    worker, beat = stack.start_worker(), stack.start_beat()
    eventually(lambda: looks() > 0, or_say="the worker has looked at the cluster")

    throw_everybody_out()

    before = looks()
    eventually(lambda: looks() > before, or_say="the worker looks again")
    assert_alive(worker, beat)


def throw_everybody_out() -> int:
    """End every other connection to the database; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        count: int = cursor.fetchone()[0]
        return count


def looks() -> int:
    """How often the worker has looked at the cluster, which has no usable credentials."""
    return Cluster.objects.get(name="harbor").poll_failures


def assert_alive(*processes: Process) -> None:
    assert [process.popen.poll() for process in processes] == [None] * len(processes)
