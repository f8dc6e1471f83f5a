import io
import json
import logging
import sys

import pytest
import structlog
from django.conf import settings

from aiops import logs


@pytest.fixture
def output(monkeypatch):
    """What a process with JSON logs writes to its standard output."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["granian"])
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure({"level": "INFO", "json": True})
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    monkeypatch.undo()
    structlog.reset_defaults()
    logs.configure(settings.LOGGING)


class TestLines:
    def test_carry_the_request_id_from_both_worlds(self, output):
        with structlog.contextvars.bound_contextvars(request_id="r-1"):
            structlog.get_logger("a").info("one", count=1)
            logging.getLogger("b").warning("two %s", "three")

        first, second = output()
        assert (first["event"], first["count"], first["level"], first["request_id"]) == ("one", 1, "info", "r-1")
        assert (second["event"], second["logger"], second["request_id"]) == ("two three", "b", "r-1")

    def test_hold_no_secret(self, output):
        logging.getLogger("a").error("key ck_live_0123456789abcdefghij refused")
        structlog.get_logger("a").error("x", url="https://user:hunter2@host/")
        try:
            raise ValueError("password=hunter2")
        except ValueError:
            logging.getLogger("a").exception("failed")

        assert "hunter2" not in str(output())
        assert "ck_live_0123" not in str(output())

    def test_below_the_level_are_left_out(self, output):
        structlog.get_logger("a").debug("quiet")

        assert output() == []


class TestStream:
    @pytest.mark.parametrize(
        ("argv", "stream"),
        [
            (["/x/manage.py", "createapikey"], "stderr"),
            (["manage.py", "observe"], "stdout"),
            (["/x/bin/celery", "-A", "aiops", "worker"], "stdout"),
            (["granian"], "stdout"),
        ],
    )
    def test_commands_keep_standard_output_for_their_answer(self, monkeypatch, argv, stream):
        monkeypatch.setattr(sys, "argv", argv)

        assert logs._stream() is getattr(sys, stream)
