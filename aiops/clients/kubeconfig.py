"""Reads a kubeconfig and refuses what would run a program, read a file or send credentials astray on our side.

What is kept is the one context that was chosen, nothing else of the file. Refusals are `Invalid` errors whose `fields` name
the member (`users[0].user.exec`); neither they nor anything else here repeats a value of the file.
"""

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from aiops.clients import addresses
from aiops.clients.errors import ClientError
from aiops.errors import Invalid

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# member of a file reference -> the member that carries the content itself
_CLUSTER_FILES = {"certificate-authority": "certificate-authority-data"}
_USER_FILES = {"client-certificate": "client-certificate-data", "client-key": "client-key-data", "tokenFile": "token"}
_REFUSED_OF_CLUSTER = {"proxy-url": "Proxies are not used: the server must be reachable directly"}
_REFUSED_OF_USER = {
    "exec": "Credential plug-ins are programs that would run on our side; use a service account token",
    "auth-provider": "Legacy credential plug-ins are not run; use a service account token",
    **dict.fromkeys(
        ("as", "as-uid", "as-groups", "as-user-extra"), "Impersonation is not supported; use credentials of its own"
    ),
}
Member = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one cluster. Certificates and keys are PEM; `token_file` occurs only inside a cluster."""

    server: str
    ca: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    @property
    def in_cluster(self) -> bool:
        return bool(self.token_file)

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for plain HTTP. Raises `ssl.SSLError` when a certificate or key cannot be used."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca or None)
        # Python 3.13 became stricter than the certificates that many clusters have made for themselves
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            self._load_certificate(context)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        """OpenSSL takes the pair from a file only: one that nobody else may read, for the moment of loading."""
        with tempfile.NamedTemporaryFile("w", encoding="ascii", errors="replace") as file:
            file.write(f"{self.certificate}\n{self.key}\n")
            file.flush()
            context.load_cert_chain(file.name, password=_no_password)

    def dump(self) -> str:
        """A kubeconfig of one context that `load` reads back; it holds the credentials."""
        cluster = {
            "server": self.server,
            "certificate-authority-data": _encode(self.ca),
            "insecure-skip-tls-verify": self.insecure,
            "tls-server-name": self.tls_server_name,
        }
        user = {
            "token": self.token,
            "username": self.username,
            "password": self.password,
            "client-certificate-data": _encode(self.certificate),
            "client-key-data": _encode(self.key),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "aiops",
            "contexts": [{"name": "aiops", "context": {"cluster": "aiops", "user": "aiops"}}],
            "clusters": [{"name": "aiops", "cluster": {key: value for key, value in cluster.items() if value}}],
            "users": [{"name": "aiops", "user": {key: value for key, value in user.items() if value}}],
        }
        return yaml.safe_dump(document, sort_keys=False)


def _no_password() -> str:
    """Without this, OpenSSL would ask for the passphrase of an encrypted key on the terminal, and wait."""
    return ""


def load(
    text: str,
    *,
    context: str = "",
    allow_insecure: bool = False,
    inline_files: Path | None = None,
    check_address: bool = True,
) -> Access:
    """The access that `context` (default: the current one) describes. Raises `Invalid` naming the member that offends.

    `inline_files` is the folder of the file: commands that a local user runs with a kubeconfig of their own may read what
    it refers to. Nothing that arrives over the network gets that. Without `check_address` the server's name is not looked
    up: for what was checked before, and is again when the connection stands.
    """
    document = _parse(text)
    wanted = context or document.get("current-context")
    if not isinstance(wanted, str) or not wanted:
        _refuse("current-context", "It names no context")
    _, chosen = _entry(document, "contexts", "context", wanted)
    cluster_at, cluster = _entry(document, "clusters", "cluster", chosen.get("cluster"))
    user_at, user = _entry(document, "users", "user", chosen.get("user"))
    _check_members(cluster_at, cluster, _REFUSED_OF_CLUSTER)
    _check_members(user_at, user, _REFUSED_OF_USER)
    cluster = _without_files(cluster_at, cluster, _CLUSTER_FILES, inline_files)
    user = _without_files(user_at, user, _USER_FILES, inline_files)
    access = Access(
        server=_text(cluster_at, cluster, "server").rstrip("/"),
        ca=_pem(cluster_at, cluster, "certificate-authority-data"),
        insecure=cluster.get("insecure-skip-tls-verify") is True,
        tls_server_name=_text(cluster_at, cluster, "tls-server-name"),
        token=_text(user_at, user, "token"),
        username=_text(user_at, user, "username"),
        password=_text(user_at, user, "password"),
        certificate=_pem(user_at, user, "client-certificate-data"),
        key=_pem(user_at, user, "client-key-data"),
    )
    _check_access(access, cluster_at, user_at, allow_insecure=allow_insecure)
    if check_address:
        _check_server(access, f"{cluster_at}.server")
    return access


def in_cluster(environment: Mapping[str, str], *, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The access of the service account that the platform itself runs under. Raises `Invalid` outside a cluster."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token, ca = folder / "token", folder / "ca.crt"
    if not host or not token.is_file() or not ca.is_file():
        raise Invalid("There is no service account here", "The platform does not run inside a cluster.")
    bracketed = f"[{host}]" if ":" in host else host
    return Access(server=f"https://{bracketed}:{port}", ca=ca.read_text(encoding="ascii"), token_file=str(token))


def _check_server(access: Access, member: str) -> None:
    # without TLS anyone on the way reads the credentials: only for clusters of one's own on a private network
    schemes = ("https", "http") if addresses.allow_private() else ("https",)
    try:
        addresses.check_url(access.server, schemes=schemes)
    except ClientError as error:
        _refuse(member, error.message)


def _refuse(member: str, reason: str) -> NoReturn:
    raise Invalid("The kubeconfig is refused", f"{member}: {reason}.", fields={member: [reason]})


def _parse(text: str) -> Member:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        _refuse("kubeconfig", "It is larger than 1 MiB")
    try:
        _check_structure(text)
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        _refuse("kubeconfig", f"It is no valid YAML{line}")
    except (yaml.YAMLError, ValueError, RecursionError):
        _refuse("kubeconfig", "It is no valid YAML")
    if not isinstance(document, dict) or document.get("kind") not in (None, "Config"):
        _refuse("kubeconfig", "It is not a document of kind Config")
    return document


def _check_structure(text: str) -> None:
    """Aliases let a small file unfold into gigabytes, and deep nesting exhausts the stack; kubeconfigs need neither."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            _refuse("kubeconfig", "YAML aliases are not accepted")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            _refuse("kubeconfig", f"It is nested more than {MAX_DEPTH} levels deep")


def _entry(document: Member, group: str, member: str, name: object) -> tuple[str, Member]:
    """The entry called `name` of the list `group`, with the path under which refusals name it."""
    entries = document.get(group)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and entry.get("name") == name:
            content = entry.get(member)
            if not isinstance(content, dict):
                _refuse(f"{group}[{index}].{member}", "It is missing or not an object")
            return f"{group}[{index}].{member}", content
    _refuse(group, f"There is no entry that the {'current context' if group == 'contexts' else 'context'} names")


def _check_members(at: str, entry: Member, refused: Mapping[str, str]) -> None:
    for member, reason in refused.items():
        if entry.get(member):
            _refuse(f"{at}.{member}", reason)


def _without_files(at: str, entry: Member, files: Mapping[str, str], folder: Path | None) -> Member:
    """The entry with the content in place of references to files. A reference wins over nothing but absent content."""
    inlined = dict(entry)
    for member, target in files.items():
        reference = inlined.pop(member, None)
        if not reference:
            continue
        if folder is None:
            _refuse(f"{at}.{member}", f"References to files are not followed; put the content into {target}")
        if inlined.get(target):
            continue
        content = _read_file(f"{at}.{member}", folder, reference)
        inlined[target] = content.decode(errors="replace").strip() if target == "token" else base64.b64encode(content)
    return inlined


def _read_file(member: str, folder: Path, reference: object) -> bytes:
    if not isinstance(reference, str):
        _refuse(member, "It is not a text")
    try:
        with (folder / reference).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        _refuse(member, "The file cannot be read")
    if len(content) > MAX_BYTES:
        _refuse(member, "The file is larger than 1 MiB")
    return content


def _text(at: str, entry: Member, member: str) -> str:
    value = entry.get(member)
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(f"{at}.{member}", "It is not a text")
    value = value.strip()
    if not value.isascii() or not value.isprintable():
        _refuse(f"{at}.{member}", "It contains characters that cannot be sent")
    return value


def _pem(at: str, entry: Member, member: str) -> str:
    value = entry.get(member)
    if not value:
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, TypeError, ValueError):
        _refuse(f"{at}.{member}", "It is not the base64 form of a PEM text")


def _encode(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _check_access(access: Access, cluster_at: str, user_at: str, *, allow_insecure: bool) -> None:
    if not access.server:
        _refuse(f"{cluster_at}.server", "It is missing")
    if access.insecure and not allow_insecure:
        _refuse(f"{cluster_at}.insecure-skip-tls-verify", "The server's certificate must be verified")
    if access.insecure and access.ca:
        _refuse(f"{cluster_at}.insecure-skip-tls-verify", "It contradicts certificate-authority-data")
    if access.server.startswith("https://") and not access.ca and not access.insecure:
        # any public authority may sign any name; a cluster has its own
        _refuse(f"{cluster_at}.certificate-authority-data", "It is missing")
    if bool(access.certificate) != bool(access.key):
        _refuse(user_at, "client-certificate-data and client-key-data belong together")
    if not (access.token or access.certificate or access.username):
        _refuse(user_at, "It carries no credentials: a token, a client certificate or a user name")
    for member, part in (
        (f"{cluster_at}.certificate-authority-data", replace(access, certificate="", key="")),
        (f"{user_at}.client-certificate-data", access),
    ):
        try:
            part.ssl_context()
        except (ssl.SSLError, ValueError):
            _refuse(member, "The certificate or its key cannot be used")
