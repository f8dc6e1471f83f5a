from datetime import timedelta

import pytest

from aiops.audit.actor import SYSTEM
from aiops.audit.models import AuditEvent
from aiops.clients.errors import ClientRefused
from aiops.encryption import decrypt
from aiops.errors import Invalid
from federation import services
from federation.models import Cluster
from tests.aiops.clients.test_kubeconfig import make_kubeconfig
from tests.conftest import NOON
from tests.factories import make_cluster, make_incident

pytestmark = pytest.mark.django_db
PLAIN = {"server": "http://127.0.0.1:8080", "certificate-authority-data": None}


def register(name: str = "harbor", **options) -> Cluster:
    return services.register(**{"name": name, "kubeconfig": make_kubeconfig(), "actor": SYSTEM, "at": NOON, **options})


class TestRegister:
    def test_adds_a_cluster_that_is_due_at_once(self):
        cluster = register(tier="critical", region="eu-1", environment="production", automation="observe")

        cluster.refresh_from_db()
        assert (cluster.tier, cluster.region, cluster.environment) == ("critical", "eu-1", "prod")
        assert (cluster.phase, cluster.next_poll_at) == ("Pending", NOON)

    def test_keeps_the_credentials_encrypted(self):
        cluster = register()

        assert b"t0ken" not in bytes(cluster.kubeconfig)
        assert "t0ken" in decrypt(bytes(cluster.kubeconfig))

    def test_is_audited_without_credentials(self):
        register()

        event = AuditEvent.objects.get()
        assert (event.action, event.resource) == ("cluster.create", "harbor")
        assert "t0ken" not in str(event.details)

    def test_updates_what_is_given_and_keeps_the_rest(self):
        register(region="eu-1", tier="critical")

        cluster = register(region="eu-2", at=NOON + timedelta(hours=1))

        cluster.refresh_from_db()
        assert (cluster.region, cluster.tier, cluster.version) == ("eu-2", "critical", 2)
        event = AuditEvent.objects.get(action="cluster.update")
        assert (event.details["changed"], event.details["credentials_changed"]) == (["region"], False)

    def test_gives_new_credentials_a_new_start(self):
        cluster = register()
        Cluster.objects.update(poll_failures=7, poll_error="it does not answer")

        register(kubeconfig=make_kubeconfig(user={"token": "another"}))

        was = cluster.kubeconfig_digest
        cluster.refresh_from_db()
        assert (cluster.poll_failures, cluster.poll_error) == (0, "")
        assert cluster.kubeconfig_digest != was

    @pytest.mark.parametrize("name", ["", "Harbor", "-a", "a/b", "global-status", "a" * 254, "a\n"])
    def test_refuses_the_name(self, name):
        with pytest.raises(Invalid) as refused:
            register(name)
        assert list(refused.value.fields) == ["name"]

    def test_names_every_attribute_that_cannot_be(self):
        with pytest.raises(Invalid) as refused:
            register(tier="gold", automation="max", environment="moon", prometheus_url="ftp://x")

        assert set(refused.value.fields) == {"tier", "automation", "environment", "prometheusURL"}

    def test_refuses_a_kubeconfig_that_runs_programs(self):
        with pytest.raises(Invalid) as refused:
            register(kubeconfig=make_kubeconfig(user={"exec": {"command": "sh"}}))

        (reason,) = refused.value.fields["kubeconfig"]
        assert reason.startswith("users[0].user.exec: ")
        assert not Cluster.objects.exists()

    def test_records_that_a_server_is_not_verified(self):
        text = make_kubeconfig(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": None})

        register(kubeconfig=text, allow_insecure=True)

        assert AuditEvent.objects.get().details["insecure"] is True

    def test_of_the_own_cluster_needs_a_service_account(self):
        with pytest.raises(Invalid, match="no service account"):
            services.register_in_cluster(name="local", actor=SYSTEM, at=NOON)


class TestUnregister:
    def test_forgets_the_cluster_but_not_its_incidents(self):
        cluster = register()
        incident = make_incident(cluster=cluster, cluster_name=cluster.name)

        services.unregister(cluster=cluster, actor=SYSTEM, at=NOON)

        incident.refresh_from_db()
        assert (incident.cluster, incident.cluster_name) == (None, "harbor")
        assert AuditEvent.objects.filter(action="cluster.delete", resource="harbor").exists()


class TestConnect:
    def test_shares_one_client_per_cluster(self):
        cluster = register(kubeconfig=make_kubeconfig(cluster=PLAIN))

        assert services.connect(cluster) is services.connect(Cluster.objects.get())

    def test_makes_a_new_one_for_new_credentials(self):
        client = services.connect(register())

        assert services.connect(register(kubeconfig=make_kubeconfig(user={"token": "another"}))) is not client

    def test_refuses_credentials_that_cannot_be_decrypted(self, settings):
        cluster = register()
        settings.ENCRYPTION_KEYS = ["OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="]

        with pytest.raises(ClientRefused, match="cannot be decrypted"):
            services.connect(cluster)

    def test_refuses_nonsense_in_the_store(self):
        with pytest.raises(ClientRefused, match="stored kubeconfig"):
            services.connect(make_cluster())


class TestReadKubeconfig:
    def test_reads_in_the_files_beside_it(self, tmp_path):
        (tmp_path / "token").write_text("from-file")
        (tmp_path / "config").write_text(make_kubeconfig(user={"tokenFile": "token"}))

        assert "from-file" in services.read_kubeconfig(tmp_path / "config")

    def test_says_that_a_file_is_missing(self, tmp_path):
        with pytest.raises(Invalid, match="cannot be read"):
            services.read_kubeconfig(tmp_path / "nowhere")

    def test_refuses_what_is_no_text(self, tmp_path):
        (tmp_path / "config").write_bytes(b"\xff\xfe")

        with pytest.raises(Invalid, match="refused"):
            services.read_kubeconfig(tmp_path / "config")
