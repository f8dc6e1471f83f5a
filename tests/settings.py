"""The settings of a test run: the real ones, fed with a data directory and a broker of its own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_root = Path(tempfile.mkdtemp(prefix="aiops-tests-"))
atexit.register(shutil.rmtree, _root, ignore_errors=True)

os.environ["AIOPS_DATA_DIR"] = str(_root)
os.environ["AIOPS_TEST_DATABASE"] = str(_root / "test.sqlite3")
# nudges go nowhere; a test that wants a worker starts one with a broker of its own (tests/processes.py)
os.environ["CELERY_BROKER_URL"] = "memory://"
os.environ.setdefault("AIOPS_ALLOW_PRIVATE_ADDRESSES", "true")
# services mode wants both; a test run is no production
os.environ.setdefault("AIOPS_SECRET_KEY", "tests-only-not-a-secret-0123456789abcdef0123456789abcdef")
os.environ.setdefault("AIOPS_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
for _name in (
    "KUBECONFIG",
    "AIOPS_KUBECONFIG",
    "AIOPS_LLM_BASE_URL",
    "CHATCLI_API_KEYS_FILE",
    "CHATCLI_OPERATOR_DEV_MODE",
):
    os.environ.pop(_name, None)

from aiops.settings import *  # noqa: E402, F403  (only now: the settings read the environment when they are imported)
