from typing import Any

import pytest
import yaml

from aiops.clients import kubeconfig
from aiops.errors import Invalid
from tests.aiops.clients.certificates import make_authority, make_certificate

AUTHORITY = make_authority()
CLIENT = make_certificate("client", AUTHORITY)


def make_kubeconfig(
    *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, current: str = "main", **members: Any
) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": "main", "context": {"cluster": "one", "user": "robot"}}],
        "clusters": [
            {
                "name": "one",
                "cluster": {
                    "server": "https://127.0.0.1:6443",
                    "certificate-authority-data": AUTHORITY.certificate_data,
                    **(cluster or {}),
                },
            }
        ],
        "users": [{"name": "robot", "user": {"token": "t0ken"} if user is None else user}],
    }
    return yaml.safe_dump({**document, **members})


def refused_members(text: str, **options: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        kubeconfig.load(text, **options)
    assert "t0ken" not in f"{refused.value.message} {refused.value.details} {refused.value.fields}"
    return list(refused.value.fields)


class TestLoad:
    def test_reads_the_current_context(self):
        access = kubeconfig.load(make_kubeconfig())

        assert (access.server, access.token) == ("https://127.0.0.1:6443", "t0ken")
        assert access.ca == AUTHORITY.certificate

    def test_reads_the_context_asked_for(self):
        contexts = [{"name": "other", "context": {"cluster": "one", "user": "robot"}}]
        text = make_kubeconfig(contexts=contexts)

        assert kubeconfig.load(text, context="other").token == "t0ken"

    def test_reads_a_client_certificate(self):
        user = {"client-certificate-data": CLIENT.certificate_data, "client-key-data": CLIENT.key_data}

        assert kubeconfig.load(make_kubeconfig(user=user)).key == CLIENT.key

    def test_shows_no_credentials(self):
        assert "t0ken" not in repr(kubeconfig.load(make_kubeconfig()))

    def test_survives_being_dumped(self):
        user = {"client-certificate-data": CLIENT.certificate_data, "client-key-data": CLIENT.key_data, "token": "t"}
        access = kubeconfig.load(make_kubeconfig(user=user, cluster={"tls-server-name": "kube"}))

        assert kubeconfig.load(access.dump()) == access

    def test_drops_the_other_contexts(self):
        users = [{"name": "robot", "user": {"token": "t0ken"}}, {"name": "boss", "user": {"token": "s3cret"}}]

        assert "s3cret" not in kubeconfig.load(make_kubeconfig(users=users)).dump()


class TestRefusals:
    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("exec", {"command": "sh", "apiVersion": "client.authentication.k8s.io/v1"}),
            ("auth-provider", {"name": "gcp"}),
            ("tokenFile", "/etc/passwd"),
            ("client-certificate", "/etc/passwd"),
            ("client-key", "/etc/passwd"),
            ("as", "system:admin"),
            ("as-groups", ["system:masters"]),
        ],
    )
    def test_of_the_user(self, member, value):
        assert refused_members(make_kubeconfig(user={"token": "t0ken", member: value})) == [f"users[0].user.{member}"]

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("certificate-authority", "/etc/passwd"),
            ("proxy-url", "http://127.0.0.1:3128"),
            ("insecure-skip-tls-verify", True),
            ("server", "ftp://127.0.0.1"),
            ("server", "https://169.254.169.254"),
            ("server", "https://cluster.invalid"),
            ("server", "https://user:t0ken@127.0.0.1"),
            ("server", ""),
            ("server", 6443),
            ("certificate-authority-data", "not base64"),
            ("certificate-authority-data", "bm8gcGVt"),
            ("certificate-authority-data", None),
        ],
    )
    def test_of_the_cluster(self, member, value):
        assert refused_members(make_kubeconfig(cluster={member: value})) == [f"clusters[0].cluster.{member}"]

    def test_of_private_servers_where_they_are_not_allowed(self, settings):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False

        assert refused_members(make_kubeconfig()) == ["clusters[0].cluster.server"]

    def test_of_plain_http_where_private_addresses_are_not_allowed(self, settings):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False

        assert refused_members(make_kubeconfig(cluster={"server": "http://8.8.8.8"})) == ["clusters[0].cluster.server"]

    def test_of_a_user_without_credentials(self):
        assert refused_members(make_kubeconfig(user={})) == ["users[0].user"]

    def test_of_a_certificate_without_its_key(self):
        user = {"client-certificate-data": CLIENT.certificate_data}

        assert refused_members(make_kubeconfig(user=user)) == ["users[0].user"]

    def test_of_a_key_of_another_certificate(self):
        other = make_certificate("other", AUTHORITY)
        user = {"client-certificate-data": CLIENT.certificate_data, "client-key-data": other.key_data}

        assert refused_members(make_kubeconfig(user=user)) == ["users[0].user.client-certificate-data"]

    def test_of_a_token_that_would_forge_a_header(self):
        text = make_kubeconfig(user={"token": "a\r\nImpersonate-User: b"})

        assert refused_members(text) == ["users[0].user.token"]

    def test_of_a_missing_context(self):
        assert refused_members(make_kubeconfig(current="")) == ["current-context"]

    @pytest.mark.parametrize(("group", "entries"), [("contexts", []), ("clusters", None), ("users", [{"name": "x"}])])
    def test_of_dangling_names(self, group, entries):
        assert refused_members(make_kubeconfig(**{group: entries})) == [group]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "- a list",
            "a: [",
            "\x00",
            "!!python/object/apply:os.system [id]",
            "when: 2027-13-45",
            "kind: Secret",
            "a: &a [x]\nb: *a",
            "[" * 10_000,
            "x: " + "y" * kubeconfig.MAX_BYTES,
        ],
    )
    def test_of_what_is_no_kubeconfig(self, text):
        assert refused_members(text) == ["kubeconfig"]

    def test_names_the_line_of_a_syntax_error(self):
        with pytest.raises(Invalid, match="refused") as refused:
            kubeconfig.load("kind: Config\nusers: [\n")
        assert "line 3" in refused.value.details


class TestOptions:
    def test_insecure_is_accepted_when_asked_for(self):
        text = make_kubeconfig(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": None})

        assert kubeconfig.load(text, allow_insecure=True).insecure

    def test_plain_http_is_accepted_on_private_addresses(self):
        text = make_kubeconfig(cluster={"server": "http://127.0.0.1:8080", "certificate-authority-data": None})

        assert kubeconfig.load(text).ssl_context() is None

    def test_files_are_read_in_for_local_users(self, tmp_path):
        (tmp_path / "ca.crt").write_text(AUTHORITY.certificate)
        (tmp_path / "token").write_text("from-file\n")
        text = make_kubeconfig(
            cluster={"certificate-authority-data": None, "certificate-authority": "ca.crt"},
            user={"tokenFile": str(tmp_path / "token")},
        )

        access = kubeconfig.load(text, inline_files=tmp_path)

        assert (access.ca, access.token) == (AUTHORITY.certificate, "from-file")

    def test_a_missing_file_is_named_by_its_member(self, tmp_path):
        text = make_kubeconfig(user={"tokenFile": "nowhere"})

        assert refused_members(text, inline_files=tmp_path) == ["users[0].user.tokenFile"]


class TestInCluster:
    def test_reads_the_service_account(self, tmp_path):
        (tmp_path / "token").write_text("t0ken")
        (tmp_path / "ca.crt").write_text(AUTHORITY.certificate)
        environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}

        access = kubeconfig.in_cluster(environment, folder=tmp_path)

        assert (access.server, access.token) == ("https://[fd00::1]:443", "")
        assert access.in_cluster

    def test_refuses_outside_of_a_cluster(self, tmp_path):
        with pytest.raises(Invalid, match="no service account"):
            kubeconfig.in_cluster({}, folder=tmp_path)
