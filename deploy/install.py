"""Creates `.venv` and installs a requirements file into it: `python3 deploy/install.py requirements.txt`.

Needs nothing but `python3`. Debian ships Python without `ensurepip`, so the pip wheel beside this file does the first step;
index, proxy and certificates are pip's own settings (PIP_INDEX_URL, PIP_CERT, pip.conf).
A stamp per requirements file makes a second run return at once.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / ".venv"
PIP = next(HERE.glob("pip-*.whl"))


def stamp(requirements: Path) -> str:
    """Changes when the file, or a file that it includes, or the interpreter does."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(requirements.parent.glob("requirements*.txt")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> int:
    if sys.version_info < (3, 11):
        print(f"aiops needs Python 3.11 or newer; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1
    requirements = Path(sys.argv[1]).resolve()
    done, fresh = VENV / f".installed-{requirements.stem}", stamp(requirements)
    if done.exists() and done.read_text() == fresh:
        return 0
    python = VENV / "bin" / "python"
    if not python.exists():
        print(f"Creating the virtual environment {VENV.name} …", flush=True)
        venv.create(VENV, with_pip=False, symlinks=True)
    print(f"Installing {requirements.name} (about a minute the first time) …", flush=True)
    pip = [str(python), f"{PIP}/pip", "--disable-pip-version-check", "--no-input", "install", "--prefer-binary"]
    code = subprocess.call([*pip, "--requirement", str(requirements)])
    if code:
        print("The installation failed; pip's message above says why. Run the command again to go on.", file=sys.stderr)
        return code
    done.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
