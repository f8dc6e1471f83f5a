import os

import pytest

from aiops.apikeys import keyfile, keyring, services
from aiops.apikeys.models import ApiKey
from aiops.apikeys.roles import Role
from tests.conftest import NOON

pytestmark = pytest.mark.django_db

ONE = """
- key: "first-foreign-key"
  role: operator
  description: the board
  owner: board@example.com
"""


@pytest.fixture
def source(tmp_path, settings):
    path = tmp_path / "keys.yaml"
    settings.AIOPS_API_KEYS_FILE = str(path)
    return path


def look(source, text: str) -> None:
    """Write the file and let this process look at it now instead of in a few seconds."""
    before = source.stat().st_mtime_ns if source.exists() else 0
    source.write_text(text)
    os.utime(source, ns=(before + 10**9, before + 10**9))
    keyfile.last.at = float("-inf")
    keyring.memory.known.clear()


def status(client, key):
    return client.get("/api/v1/things", headers={"X-API-Key": key}).status_code


class TestImport:
    def test_foreign_keys_work(self, client, source):
        look(source, ONE)

        assert status(client, "first-foreign-key") == 200
        row = ApiKey.objects.get()
        assert (row.role, row.identity, row.source) == ("operator", "board@example.com", "file")

    def test_json_works_too(self, client, source):
        look(source, '[{"key": "k-1234567", "role": "viewer"}]')

        assert status(client, "k-1234567") == 200

    @pytest.mark.parametrize("shape", ["api-keys:{}", "data:\n  api-keys: |{}"])
    def test_the_operator_s_object_works_too(self, client, source, shape):
        indented = ONE.replace("\n", "\n    ")
        look(source, shape.format(indented))

        assert status(client, "first-foreign-key") == 200

    def test_a_change_takes_effect(self, client, source):
        look(source, ONE)
        assert status(client, "first-foreign-key") == 200

        look(source, "- {key: second-foreign-key, role: viewer}")

        assert status(client, "second-foreign-key") == 200
        assert status(client, "first-foreign-key") == 401

    def test_a_key_that_returns_works_again(self, client, source):
        look(source, ONE)
        status(client, "x")
        look(source, "[]")
        status(client, "x")
        look(source, ONE.replace("operator", "admin"))

        assert status(client, "first-foreign-key") == 200
        assert ApiKey.objects.get().role == "admin"

    def test_invalid_records_are_skipped(self, client, source, caplog):
        look(
            source,
            ONE + '- {key: "", role: viewer}\n- {key: abc, role: king}\n- just text\n- {role: viewer}\n'
            "- {key: 5, role: viewer}\n- {key: zzz, role: viewer, owner: [1]}\n",
        )

        assert status(client, "first-foreign-key") == 200
        assert ApiKey.objects.count() == 1
        assert "abc" not in caplog.text

    @pytest.mark.parametrize("broken", ["{", "just text", "5", "\x00", "- &a [*a]\n- [", "api-keys: 5"])
    def test_an_unparsable_source_keeps_the_previous_keys(self, client, source, broken):
        look(source, ONE)
        status(client, "x")

        look(source, broken)

        assert status(client, "first-foreign-key") == 200

    def test_a_missing_source_keeps_the_previous_keys(self, client, source):
        look(source, ONE)
        status(client, "x")
        source.unlink()
        keyfile.last.at = float("-inf")

        assert status(client, "first-foreign-key") == 200

    def test_keys_of_a_file_that_is_no_longer_named_stop_working(self, client, source, settings):
        look(source, ONE)
        status(client, "x")
        settings.AIOPS_API_KEYS_FILE = ""

        assert status(client, "first-foreign-key") == 401

    def test_leaves_created_keys_alone(self, client, source):
        _, key = services.create(role=Role.VIEWER, at=NOON)
        look(source, f"- {{key: {key}, role: admin}}\n")
        status(client, "x")
        look(source, "[]")

        assert status(client, key) == 200
        assert ApiKey.objects.get().role == "viewer"
