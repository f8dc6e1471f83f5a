"""The kubeconfig that leads to a simulated cluster."""

import tempfile
from pathlib import Path

import yaml

CONTEXT = "simulated"


def kubeconfig(*, url: str, token: str) -> str:
    """The kubeconfig of a cluster at this address, as YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {"server": url}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def write_kubeconfig(path: Path, text: str) -> None:
    """Write atomically and readable by the owner only: it holds a token."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    written = Path(file.name)
    written.chmod(0o600)
    written.replace(path)
