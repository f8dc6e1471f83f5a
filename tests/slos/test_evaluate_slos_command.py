from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.slos.rows import slo_row

pytestmark = pytest.mark.django_db


def run(*names: str) -> str:
    out = StringIO()
    call_command("evaluate_slos", *names, stdout=out)
    return out.getvalue()


class TestEvaluateSLOs:
    def test_says_what_was_found(self) -> None:
        slo_row()

        assert run() == "shop/checkout-availability: healthy, 100.0000 %, 43.2 of 43.2 min left\n"

    def test_takes_names(self) -> None:
        slo_row()
        slo_row(name="other")

        assert run("other").startswith("shop/other:")

    def test_refuses_unknown_names(self) -> None:
        with pytest.raises(CommandError, match="nonesuch"):
            run("nonesuch")

    def test_fails_when_something_cannot_be_measured(self) -> None:
        slo_row(source="prometheus", query="up")

        with pytest.raises(CommandError, match="1 of the SLOs"):
            run()
