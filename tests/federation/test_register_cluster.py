import io

import pytest
from django.core.management import CommandError, call_command

from federation.models import Cluster
from tests.aiops.clients.test_kubeconfig import make_kubeconfig

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "config"
    file.write_text(make_kubeconfig())
    return file


class TestRegisterCluster:
    def test_registers_with_all_options(self, file):
        out = io.StringIO()

        call_command(
            "register_cluster", "harbor", "--kubeconfig", str(file), "--tier", "critical", "--region", "eu-1",
            "--environment", "prod", "--prometheus", "http://127.0.0.1:9090", "--automation", "approve", stdout=out,
        )  # fmt: skip

        cluster = Cluster.objects.get(name="harbor")
        assert (cluster.tier, cluster.region, cluster.environment) == ("critical", "eu-1", "prod")
        assert (cluster.prometheus_url, cluster.automation) == ("http://127.0.0.1:9090", "approve")
        assert "harbor is registered" in out.getvalue()
        assert "t0ken" not in out.getvalue()

    def test_keeps_what_is_not_given(self, file):
        call_command(
            "register_cluster", "harbor", "--kubeconfig", str(file), "--tier", "critical", stdout=io.StringIO()
        )

        call_command("register_cluster", "harbor", "--kubeconfig", str(file), "--region", "eu-1", stdout=io.StringIO())

        cluster = Cluster.objects.get()
        assert (cluster.tier, cluster.region) == ("critical", "eu-1")

    def test_names_the_member_that_is_refused(self, file):
        file.write_text(make_kubeconfig(user={"exec": {"command": "sh"}}))

        with pytest.raises(CommandError, match=r"users\[0\]\.user\.exec"):
            call_command("register_cluster", "harbor", "--kubeconfig", str(file))

    def test_takes_an_unverified_server_only_when_told_so(self, file):
        file.write_text(make_kubeconfig(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": None}))

        with pytest.raises(CommandError, match="insecure-skip-tls-verify"):
            call_command("register_cluster", "harbor", "--kubeconfig", str(file))
        call_command(
            "register_cluster", "harbor", "--kubeconfig", str(file), "--insecure-skip-tls-verify", stdout=io.StringIO()
        )
        assert Cluster.objects.exists()
