import pytest
from django.core.management import CommandError, call_command

from slos.models import SLO
from tests.slos.test_openslo import LOGS, RATIO
from tests.slos.test_sloth import DOCUMENT

pytestmark = pytest.mark.django_db


class TestImportSLOs:
    def test_imports_every_file(self, tmp_path, capsys):
        (tmp_path / "a.yaml").write_text(RATIO.replace("checkout-availability", "cart-availability"))
        (tmp_path / "b.yaml").write_text(DOCUMENT)

        call_command("import_slos", tmp_path / "a.yaml", tmp_path / "b.yaml")

        assert capsys.readouterr().out.splitlines() == [
            "created cart-availability",
            "created checkout-availability",
            "created checkout-freshness",
        ]

    def test_prints_its_doubts_and_does_not_fail_for_them(self, tmp_path, capsys):
        (tmp_path / "a.yaml").write_text(LOGS)

        call_command("import_slos", tmp_path / "a.yaml")

        said = capsys.readouterr()
        assert said.out.splitlines() == ["created batch-speed"]
        assert "document 1, batch-speed: spec.indicator.spec.ratioMetric.metricSource.type: acme-logs" in said.err

    def test_fails_when_a_document_is_rejected_and_stores_the_others(self, tmp_path, capsys):
        (tmp_path / "a.yaml").write_text(f"kind: Pod\n---\n{RATIO}")

        with pytest.raises(SystemExit) as exit_:
            call_command("import_slos", tmp_path / "a.yaml")

        assert exit_.value.code == 1
        assert "document 1" in capsys.readouterr().err
        assert SLO.objects.count() == 1

    def test_refuses_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(CommandError):
            call_command("import_slos", tmp_path / "nothing.yaml")
