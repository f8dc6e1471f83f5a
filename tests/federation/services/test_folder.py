from datetime import timedelta
from pathlib import Path

import pytest

from aiops.audit.models import AuditEvent
from federation import tasks
from federation.models import Cluster
from federation.services import folder
from tests.conftest import NOON
from tests.federation.api.test_clusters import KUBECONFIG

pytestmark = pytest.mark.django_db


def sync(path: Path) -> list[str]:
    return folder.sync(folder=path, at=NOON)


class TestSync:
    def test_registers_every_file(self, tmp_path):
        (tmp_path / "East_1.yaml").write_text(KUBECONFIG)
        (tmp_path / "west").write_text(KUBECONFIG)

        assert sync(tmp_path) == ["east-1", "west"]
        assert Cluster.objects.get(name="west").automation == "suggest"

    def test_rotates_what_changed_and_keeps_what_people_set(self, tmp_path):
        file = tmp_path / "east.yaml"
        file.write_text(KUBECONFIG)
        sync(tmp_path)
        Cluster.objects.update(tier="critical", check_failures=9)
        before = Cluster.objects.get().kubeconfig_digest

        file.write_text(KUBECONFIG.replace("very-secret", "rotated"))

        assert sync(tmp_path) == ["east"]
        cluster = Cluster.objects.get()
        assert (cluster.tier, cluster.check_failures) == ("critical", 0)
        assert cluster.kubeconfig_digest != before

    def test_that_finds_nothing_new_leaves_no_trace(self, tmp_path):
        (tmp_path / "east.yaml").write_text(KUBECONFIG)
        sync(tmp_path)

        assert sync(tmp_path) == []
        assert AuditEvent.objects.count() == 1

    def test_follows_a_mounted_secret(self, tmp_path):
        """Kubernetes swaps a hidden folder of links."""
        (tmp_path / "..2027").mkdir()
        (tmp_path / "..2027" / "east").write_text(KUBECONFIG)
        (tmp_path / "..data").symlink_to("..2027")
        (tmp_path / "east").symlink_to("..data/east")

        assert sync(tmp_path) == ["east"]

    def test_a_bad_file_stops_no_other(self, tmp_path):
        (tmp_path / "a.yaml").write_text("kind: List")
        (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
        (tmp_path / "c.txt").write_text(KUBECONFIG)
        (tmp_path / "global-status.yaml").write_text(KUBECONFIG)
        (tmp_path / "z.yaml").write_text(KUBECONFIG)

        assert sync(tmp_path) == ["z"]

    def test_of_a_folder_that_is_not_there_is_quiet(self, tmp_path):
        assert sync(tmp_path / "gone") == []

    def test_keeps_a_cluster_whose_file_is_gone(self, tmp_path):
        file = tmp_path / "east.yaml"
        file.write_text(KUBECONFIG)
        sync(tmp_path)
        file.unlink()

        assert sync(tmp_path) == []
        assert Cluster.objects.get().enabled


def test_task_reads_the_folder_of_the_settings(tmp_path, settings):
    (tmp_path / "east.yaml").write_text(KUBECONFIG)
    settings.AIOPS_KUBECONFIG_DIR = str(tmp_path)

    tasks.read_kubeconfigs()

    assert Cluster.objects.get().created_at > NOON - timedelta(days=365)
