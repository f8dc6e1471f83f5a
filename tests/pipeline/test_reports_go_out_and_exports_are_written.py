"""Worker and beat do what nobody waits for: a report that is overdue goes out once, a large export is written."""

import base64
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from aiops.audit.actor import SYSTEM
from aiops.notifications.models import Notification
from analytics.models import ReportSchedule
from analytics.services import schedules
from tests.aiops.audit.makers import make_event
from tests.aiops.notifications.makers import make_channel
from tests.processes import eventually, running
from tests.servers import http_server

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def test_a_report_that_was_missed_for_weeks_goes_out_once(tmp_path: Path) -> None:
    now = timezone.now()
    with http_server() as receiver, running(tmp_path) as stack:
        make_channel(config={"url": receiver.url})
        schedule = ReportSchedule(name="daily", report="incidents", cron="0 7 * * *", channels=["ops"])
        schedules.save(schedule=schedule, actor=SYSTEM, at=now - timedelta(days=21))

        stack.start_worker()
        stack.start_beat()
        received = eventually(lambda: receiver.received, or_say="the report arrives")
        eventually(lambda: ReportSchedule.objects.filter(due_at__gt=now).exists(), or_say="the next run is due")

    [attached] = received[0].json()["data"]["attachments"]
    assert base64.b64decode(attached["content"]).startswith(b"<!DOCTYPE html>")
    assert Notification.objects.count() == 1


def test_a_large_export_is_written_by_a_worker(tmp_path: Path) -> None:
    _, key = apikeys.create(role=Role.VIEWER, at=timezone.now())
    for _ in range(5):
        make_event(at=timezone.now())
    with running(tmp_path, CHATCLI_API_EXPORT_SYNC_MAX="3") as stack:
        url = stack.start_web()
        stack.start_worker()
        with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60) as client:
            begun = client.get("/api/v1/audit/export", params={"since": "2000-01-01", "format": "json"})
            path = begun.json()["status"]["downloadUrl"]
            eventually(lambda: client.get(path).status_code == 200, or_say="the file is there")
            fetched = client.get(path)

    assert begun.status_code == 202
    assert fetched.headers["content-type"] == "application/json; charset=utf-8"
    assert fetched.json()["metadata"]["totalRecords"] == len(fetched.json()["records"]) == 5
