import pytest

from aiops.notifications.metrics import measure
from tests.aiops.notifications.makers import announce, make_channel, make_message, make_policy

pytestmark = pytest.mark.django_db


def test_counts_messages_by_channel_and_result():
    make_channel()
    make_policy()
    announce(make_message(), make_message(event="incident_acknowledged"))

    (gauge,) = measure()

    assert list(gauge.rows) == [(("ops", "pending"), 2.0)]
