import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from aiops.audit.models import AuditEvent
from federation.models import Cluster
from tests.factories import make_cluster

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:6443"}}]
users: [{name: me, user: {token: s3cr3t-token-value}}]
"""
FORM = {
    "display_name": "", "region": "eu", "provider": "", "environment": "dev", "tier": "standard", "automation": "approve",
    "max_concurrent_remediations": 3, "health_check_interval_seconds": 30, "prometheus_url": "", "enabled": "on", "labels": "{}",
}  # fmt: skip


@pytest.fixture
def console(client: Client) -> Client:
    client.force_login(get_user_model()._default_manager.create_superuser("ines", password="x"))
    return client


@pytest.mark.django_db
class TestClusterAdmin:
    def test_registers_a_cluster_and_keeps_the_credentials_to_itself(self, console: Client) -> None:
        answer = console.post("/console/federation/cluster/add/", FORM | {"name": "harbor", "credentials": KUBECONFIG})

        assert answer.status_code == 302, answer.content[:2000]
        cluster = Cluster.objects.get(name="harbor")
        assert (cluster.automation, cluster.server) == ("approve", "http://127.0.0.1:6443")
        assert AuditEvent.objects.get(action="cluster.create").user == "ines"
        page = console.get(f"/console/federation/cluster/{cluster.pk}/change/").content.decode()
        assert "s3cr3t-token-value" not in page

    def test_changes_attributes_without_new_credentials(self, console: Client) -> None:
        cluster = make_cluster()

        answer = console.post(
            f"/console/federation/cluster/{cluster.pk}/change/", FORM | {"automation": "auto", "credentials": ""}
        )

        assert answer.status_code == 302, answer.content[:2000]
        was = cluster.kubeconfig_digest
        cluster.refresh_from_db()
        assert (cluster.automation, cluster.region, cluster.kubeconfig_digest) == ("auto", "eu", was)
        assert AuditEvent.objects.filter(action="cluster.update").count() == 1

    @pytest.mark.parametrize(
        ("member", "value", "complaint"),
        [
            ("credentials", "", "needs a kubeconfig"),
            (
                "credentials",
                KUBECONFIG.replace("token: s3cr3t-token-value", "exec: {command: id}"),
                "users[0].user.exec",
            ),
            ("name", "Not A Name", "Lower-case letters"),
            ("tier", "platinum", "One of critical"),
        ],
    )
    def test_says_what_is_wrong(self, console: Client, member: str, value: str, complaint: str) -> None:
        form = FORM | {"name": "harbor", "credentials": KUBECONFIG, member: value}

        answer = console.post("/console/federation/cluster/add/", form)

        assert answer.status_code == 200
        assert complaint in answer.content.decode()
        assert not Cluster.objects.exists()

    def test_unregisters_with_a_trace(self, console: Client) -> None:
        cluster = make_cluster()

        console.post("/console/federation/cluster/", {"action": "unregister", "_selected_action": [cluster.pk]})

        assert not Cluster.objects.exists()
        assert AuditEvent.objects.filter(action="cluster.delete").count() == 1


@pytest.mark.django_db
class TestConsole:
    def test_every_list_opens(self, console: Client) -> None:
        make_cluster()
        index = console.get("/console/").content.decode()

        for path in sorted({part.split('"')[0] for part in index.split('href="')[1:] if part.startswith("/console/")}):
            if path.count("/") == 4 and not path.endswith(("logout/", "password_change/")):
                assert console.get(path).status_code == 200, path
