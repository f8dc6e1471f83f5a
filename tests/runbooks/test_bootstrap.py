from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from federation.models import Cluster

pytestmark = pytest.mark.django_db


def test_prepares_the_simulated_cluster_though_the_data_folder_is_new(settings: Any, tmp_path: Path) -> None:
    settings.AIOPS_KUBECONFIG = ""
    settings.DATA_DIR = tmp_path / "not" / "yet"

    call_command("bootstrap")

    assert (settings.DATA_DIR / "simulator_token").read_text()
    assert Cluster.objects.get().enabled
