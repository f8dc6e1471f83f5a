from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops import documents as yaml
from aiops.audit.actor import SYSTEM, Actor, ActorKind
from aiops.audit.models import AuditEvent
from aiops.errors import Conflict, Invalid, LostRace
from incidents.states import Severity
from runbooks import definitions, documents
from runbooks.models import Category, Runbook
from runbooks.services import library
from tests.conftest import NOON
from tests.factories import make_incident, make_plan, make_runbook

pytestmark = pytest.mark.django_db

ADMIN = Actor(kind=ActorKind.USER, name="ada@example.com", role="admin")
BODY: dict[str, Any] = {
    "name": "more-memory",
    "category": "oomkill",
    "description": "Give it more",
    "severity": ["high"],
    "steps": [
        {"name": "raise", "description": "Raise", "action": "AdjustResources", "params": {"memoryLimit": "150%"}}
    ],
}


def create(**overrides: Any) -> Runbook:
    return library.create(values=definitions.read(BODY | overrides), actor=ADMIN, at=NOON)


def update(runbook: Runbook, **members: Any) -> Runbook:
    return library.update(runbook=runbook, values=definitions.read(members, merge=True), actor=ADMIN, at=NOON)


class TestCreate:
    def test_stores_the_defaults(self) -> None:
        runbook = create()

        assert (runbook.namespace, runbook.revision, runbook.created_by) == ("default", "1.0.0", "ada@example.com")
        assert (runbook.automated, runbook.approval_required, runbook.max_attempts) == (False, True, 3)
        assert runbook.steps[0]["timeout"] == "1m"

    def test_is_audited_once(self) -> None:
        create()

        event = AuditEvent.objects.get()
        assert (event.action, event.resource, event.event_type) == ("runbook.create", "more-memory", "config_changed")

    def test_refuses_a_taken_name(self) -> None:
        create()

        with pytest.raises(Conflict):
            create()

    def test_the_name_is_free_in_another_namespace(self) -> None:
        create()

        assert create(namespace="shop").pk

    def test_knows_generated_ones_by_their_label(self) -> None:
        assert create(labels={"platform.chatcli.io/auto-generated": "true"}).auto_generated


class TestUpdate:
    def test_keeps_what_is_not_sent(self) -> None:
        runbook = update(create(), description="Give it much more")

        assert (runbook.description, runbook.category) == ("Give it much more", "oomkill")

    def test_makes_a_version_with_a_diff(self) -> None:
        runbook = update(create(), maxAttempts=5)

        newest, first = runbook.versions.all()
        assert (newest.revision, first.revision) == ("1.1.0", "1.0.0")
        assert "-  maxAttempts: 3" in newest.diff
        assert "+  maxAttempts: 5" in newest.diff

    def test_changes_nothing_when_nothing_differs(self) -> None:
        runbook = create()

        update(runbook, description=" Give it more ")

        assert (runbook.revision, runbook.version, runbook.updated_by) == ("1.0.0", 1, "")
        assert AuditEvent.objects.filter(action="runbook.update").count() == 0

    def test_null_goes_back_to_the_default(self) -> None:
        runbook = create(automated=True, maxAttempts=9)

        update(runbook, automated=None, maxAttempts=None)

        assert (runbook.automated, runbook.max_attempts) == (False, 3)

    def test_refuses_another_name(self) -> None:
        with pytest.raises(Invalid) as caught:
            update(create(), name="other", namespace="shop")

        assert set(caught.value.fields) == {"name", "namespace"}

    def test_the_slower_of_two_loses(self) -> None:
        runbook = create()
        stale = Runbook.objects.get(pk=runbook.pk)
        update(runbook, description="first")

        with pytest.raises(LostRace):
            update(stale, description="second")


class TestDelete:
    def test_frees_the_name(self) -> None:
        library.delete(runbook=create(), actor=ADMIN, at=NOON)

        assert create().pk

    @pytest.mark.parametrize(("state", "in_use"), [("Analyzing", True), ("Resolved", False), ("Failed", False)])
    def test_an_active_incident_uses_it(self, state: str, in_use: bool) -> None:
        runbook = create()
        make_incident(runbook=runbook.name, state=state)

        if in_use:
            with pytest.raises(Conflict):
                library.delete(runbook=runbook, actor=ADMIN, at=NOON)
        else:
            library.delete(runbook=runbook, actor=ADMIN, at=NOON)

    def test_a_running_plan_uses_it(self) -> None:
        plan = make_plan(runbook=create(), state="Executing")

        with pytest.raises(Conflict, match="in use"):
            library.delete(runbook=plan.runbook, actor=ADMIN, at=NOON)  # type: ignore[arg-type]

    def test_a_finished_plan_keeps_its_name(self) -> None:
        runbook = create()
        plan = make_plan(runbook=runbook, runbook_name=runbook.name, state="Completed")

        library.delete(runbook=runbook, actor=ADMIN, at=NOON)

        plan.refresh_from_db()
        assert (plan.runbook, plan.runbook_name) == (None, "more-memory")

    def test_refuses_a_stale_row(self) -> None:
        runbook = create()
        stale = Runbook.objects.get(pk=runbook.pk)
        update(runbook, description="first")

        with pytest.raises(LostRace):
            library.delete(runbook=stale, actor=ADMIN, at=NOON)


def load(text: str) -> library.Imported:
    return library.load(found=yaml.read(text), actor=ADMIN, at=NOON)


class TestLoad:
    def test_creates_updates_and_leaves_alone(self) -> None:
        same, other = create(name="same"), create(name="other")
        texts = [documents.export(same), documents.export(other).replace("Give it more", "Give it less")]
        texts.append(documents.export(same).replace("name: same", "name: fresh"))

        result = load("---\n".join(texts))

        assert (result.created, result.updated, result.unchanged) == (["fresh"], ["other"], ["same"])
        assert result.rejected == []

    def test_a_bad_document_is_rejected_alone(self) -> None:
        good = documents.export(make_runbook(name="good"))
        Runbook.objects.all().delete()

        result = load(f"kind: Other\n---\n{good}---\n{good.replace('name: good', 'name: Bad!')}")

        assert result.created == ["good"]
        assert [(item["document"], item["name"]) for item in result.rejected] == [(1, ""), (3, "Bad!")]
        assert "name:" in result.rejected[1]["reason"]

    def test_is_one_audit_record(self) -> None:
        text = documents.export(make_runbook())
        Runbook.objects.all().delete()

        load(text)
        load(text)

        assert list(AuditEvent.objects.values_list("action", flat=True)) == ["runbook.import"]

    def test_rejects_what_the_actor_may_not_write(self) -> None:
        found = yaml.read(documents.export(make_runbook(namespace="shop")))
        Runbook.objects.all().delete()

        result = library.load(found=found, actor=ADMIN, at=NOON, covers=lambda namespace: namespace != "shop")

        assert len(result.rejected) == 1


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=["\x00"]), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "description": TEXT,
            "action": st.sampled_from(["wait", "notification", "ApplyManifest"]),
            "params": st.dictionaries(TEXT, TEXT, max_size=2),
            "timeout": st.sampled_from(["1ms", "90s", "1.5h", "24h"]),
            "continueOnFailure": st.booleans(),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda step: str(step["name"]).strip(),
)
BODIES = st.fixed_dictionaries(
    {
        "name": st.just("any"),
        "category": st.sampled_from(Category.values),
        "description": TEXT,
        "severity": st.lists(st.sampled_from(Severity.values), min_size=1, max_size=4, unique=True),
        "automated": st.booleans(),
        "approvalRequired": st.booleans(),
        "rollbackOnFailure": st.booleans(),
        "steps": STEPS,
        "labels": st.dictionaries(TEXT, TEXT, max_size=2),
        "maxAttempts": st.integers(1, 10),
        "trigger": st.none()
        | st.fixed_dictionaries({"severity": st.sampled_from(Severity.values), "resourceKind": TEXT}),
        "matchConditions": st.fixed_dictionaries({"namespaces": st.lists(TEXT, max_size=2)}),
    }
)


class TestExport:
    @given(BODIES)
    @settings(max_examples=60, deadline=None)
    def test_is_imported_without_loss(self, body: dict[str, Any]) -> None:
        values = definitions.read(body)
        text = documents.export(Runbook(**values))

        (document,) = yaml.read(text)

        assert definitions.read(documents.body_of(document)) == values


class TestBuiltIn:
    def test_every_one_is_valid(self) -> None:
        count = library.load_built_in(actor=SYSTEM, at=NOON)

        assert count == Runbook.objects.count() == len(library.built_in()) > 5

    def test_a_second_time_changes_nothing(self) -> None:
        library.load_built_in(actor=SYSTEM, at=NOON)

        assert library.load_built_in(actor=SYSTEM, at=NOON) == 0

    def test_leaves_alone_what_people_changed(self) -> None:
        library.load_built_in(actor=SYSTEM, at=NOON)
        runbook = update(Runbook.objects.get(name="raise-memory-limit"), automated=False)

        assert library.load_built_in(actor=SYSTEM, at=NOON) == 0

        runbook.refresh_from_db()
        assert not runbook.automated

    def test_does_not_bring_back_what_people_deleted(self) -> None:
        library.load_built_in(actor=SYSTEM, at=NOON)
        library.delete(runbook=Runbook.objects.get(name="raise-memory-limit"), actor=ADMIN, at=NOON)

        assert library.load_built_in(actor=SYSTEM, at=NOON) == 0

        assert not Runbook.objects.filter(name="raise-memory-limit").exists()

    def test_the_command_says_how_many(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("load_runbooks")

        assert capsys.readouterr().out.startswith(f"{len(library.built_in())} ")
