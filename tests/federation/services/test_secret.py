import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.audit.models import AuditEvent
from aiops.clients import kubeconfig
from aiops.encryption import encrypt
from aiops.simulator.embedded import SimulatedCluster
from federation import tasks
from federation.models import Cluster
from federation.services import secret
from tests.conftest import NOON
from tests.factories import make_cluster
from tests.federation.api.test_clusters import KUBECONFIG

pytestmark = pytest.mark.django_db
ROTATED = KUBECONFIG.replace("very-secret", "rotated")


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedCluster]:
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture
def home(simulated, settings) -> Iterator[SimulatedCluster]:
    """The cluster that holds the Secrets; it is registered as `home`."""
    make_cluster(name="home", kubeconfig=encrypt(simulated.kubeconfig), server=simulated.url)
    settings.AIOPS_KUBECONFIG_SECRET_CLUSTER = "home"
    settings.AIOPS_KUBECONFIG_SECRET = "default/fleet"
    yield simulated
    for name in ("fleet", "east", "east-kubeconfig", "other"):
        remove(simulated, name)


def remove(simulated: SimulatedCluster, name: str) -> None:
    if simulated.get("Secret", "default", name):
        simulated.delete("Secret", "default", name)


def put(simulated: SimulatedCluster, name: str = "fleet", labels: dict[str, str] | None = None, **data: str) -> None:
    """Make or replace a Secret in the namespace `default`."""
    remove(simulated, name)
    simulated.apply(
        {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }
    )  # fmt: skip


def sync() -> list[str]:
    return secret.sync(at=NOON)


def remote(name: str) -> Any:
    return Cluster.objects.get(name=name)


class TestOneSecret:
    def test_every_key_is_a_cluster(self, home):
        put(home, "fleet", None, **{"East_1.yaml": KUBECONFIG, "west": KUBECONFIG})

        assert sync() == ["east-1", "west"]
        assert sync() == []
        assert AuditEvent.objects.filter(action="cluster.create").count() == 2

    def test_rotates_and_keeps_what_people_set(self, home):
        put(home, east=KUBECONFIG)
        sync()
        Cluster.objects.filter(name="east").update(tier="critical", check_failures=9)
        before = remote("east").kubeconfig_digest
        put(home, east=ROTATED)

        assert sync() == ["east"]
        east = remote("east")
        assert (east.tier, east.check_failures, east.kubeconfig_digest != before) == ("critical", 0, True)

    def test_a_removed_one_is_disabled_and_enabled_when_it_returns(self, home):
        put(home, east=KUBECONFIG, west=KUBECONFIG)
        sync()
        put(home, west=KUBECONFIG)
        gone = (sync(), remote("east").enabled, sync())
        put(home, east=ROTATED, west=KUBECONFIG)
        back = (sync(), remote("east").enabled, sync())

        assert gone == (["east"], False, [])
        assert back == (["east"], True, [])
        assert secret.REMOVED not in remote("east").annotations

    def test_one_that_a_person_disabled_stays_so(self, home):
        put(home, east=KUBECONFIG)
        sync()
        Cluster.objects.filter(name="east").update(enabled=False)
        put(home, east=ROTATED)
        sync()

        assert not remote("east").enabled

    def test_takes_over_no_cluster_that_came_another_way(self, home):
        before = make_cluster(name="east").kubeconfig_digest
        put(home, east=KUBECONFIG, home=KUBECONFIG)

        assert sync() == []
        assert remote("east").kubeconfig_digest == before

    @pytest.mark.parametrize(
        "bad",
        [
            "kind: List",
            "\x00",
            KUBECONFIG.replace("token: very-secret-token", "exec: {command: /bin/sh}"),
            KUBECONFIG.replace("token: very-secret-token", "tokenFile: /etc/passwd"),
            KUBECONFIG.replace("http://127.0.0.1:1", "http://169.254.169.254"),
            KUBECONFIG.replace(
                'server: "http://127.0.0.1:1"', 'server: "https://127.0.0.1:1", insecure-skip-tls-verify: true'
            ),
            KUBECONFIG.replace('"http://127.0.0.1:1"', '"http://127.0.0.1:1", proxy-url: "http://evil"'),
        ],
    )
    def test_a_bad_one_stops_no_other(self, home, bad):
        put(home, bad=bad, east=KUBECONFIG)

        assert sync() == ["east"]
        assert not Cluster.objects.filter(name="bad").exists()

    def test_what_cannot_be_read_changes_nothing(self, home, settings):
        put(home, east=KUBECONFIG)
        sync()
        for broken in ("default/gone", "nowhere", "elsewhere/x=y,"):
            settings.AIOPS_KUBECONFIG_SECRET = broken
            sync()
        settings.AIOPS_KUBECONFIG_SECRET, settings.AIOPS_KUBECONFIG_SECRET_CLUSTER = "default/fleet", "unknown"
        sync()

        assert remote("east").enabled


class TestLabelledSecrets:
    @pytest.fixture(autouse=True)
    def selector(self, settings, home) -> None:
        settings.AIOPS_KUBECONFIG_SECRET = "default/aiops.io/cluster=true"

    def test_each_is_a_cluster_with_its_tier(self, home):
        labels = {"aiops.io/cluster": "true", "aiops.io/tier": "critical", "aiops.io/environment": "prod"}
        put(home, "east-kubeconfig", labels, kubeconfig=KUBECONFIG)
        put(home, "other", {}, kubeconfig=KUBECONFIG)

        assert sync() == ["east"]
        assert (remote("east").tier, remote("east").environment) == ("critical", "prod")

    def test_one_without_a_kubeconfig_is_refused(self, home):
        put(home, "east", {"aiops.io/cluster": "true"}, password="x")

        assert sync() == []


def test_by_our_own_service_account(home, settings, tmp_path: Path, monkeypatch):
    """Read by the token of this pod, which is read anew for every request."""
    settings.AIOPS_KUBECONFIG_SECRET_CLUSTER = ""
    access = kubeconfig.load(home.kubeconfig)
    monkeypatch.setattr(kubeconfig, "in_cluster", lambda environment: access)
    put(home, east=KUBECONFIG)

    tasks.read_kubeconfigs()

    assert remote("east").annotations == {secret.SOURCE: "default/fleet"}
