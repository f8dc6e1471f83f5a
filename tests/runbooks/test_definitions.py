from typing import Any

import pytest

from aiops.errors import Invalid
from runbooks.definitions import no_conditions, read

STEP = {"name": "wait", "description": "Wait", "action": "wait"}
BODY: dict[str, Any] = {
    "name": "book",
    "category": "custom",
    "description": "What it is for",
    "severity": ["low"],
    "steps": [STEP],
}


def complaints(**change: Any) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        read(BODY | change)
    return caught.value.fields


def one_step(**members: Any) -> dict[str, Any]:
    step: dict[str, Any] = read(BODY | {"steps": [STEP | members]})["steps"][0]
    return step


class TestRead:
    def test_texts_are_trimmed(self) -> None:
        assert read(BODY | {"description": "  What \n"})["description"] == "What"

    def test_null_counts_as_absent(self) -> None:
        values = read(BODY | {"trigger": None, "matchConditions": None, "maxAttempts": None, "labels": None})

        assert (values["trigger"], values["match_conditions"]) == (None, no_conditions())
        assert (values["max_attempts"], values["labels"]) == (3, {})

    def test_a_trigger_is_stored_whole(self) -> None:
        trigger = read(BODY | {"trigger": {"signalType": "oom_kill"}})["trigger"]

        assert trigger == {"signalType": "oom_kill", "severity": None, "resourceKind": None}

    @pytest.mark.parametrize(
        ("sent", "stored"), [("60s", "1m"), ("90m", "1h30m"), ("1.5s", "2s"), ("1ms", "1s"), ("24h", "24h")]
    )
    def test_durations_are_canonical(self, sent: str, stored: str) -> None:
        assert one_step(timeout=sent)["timeout"] == stored

    def test_a_blank_command_is_none(self) -> None:
        assert one_step(command=" ")["command"] is None

    def test_unknown_members_are_ignored(self) -> None:
        assert "color" not in read(BODY | {"color": "red"})

    def test_merge_returns_only_what_was_sent(self) -> None:
        assert read({"automated": True}, merge=True) == {"automated": True}


class TestSteps:
    def test_at_most_fifty(self) -> None:
        assert "steps" in complaints(steps=[STEP | {"name": str(number)} for number in range(51)])

    def test_names_are_unique_after_trimming(self) -> None:
        assert "steps[1].name" in complaints(steps=[STEP, STEP | {"name": " wait "}])

    @pytest.mark.parametrize("action", ["kubectl", "script"])
    def test_some_need_a_command(self, action: str) -> None:
        assert complaints(steps=[STEP | {"action": action}]) == {"steps[0].command": ["Is required for this action."]}

    @pytest.mark.parametrize("command", ["kubectl get pods", "annotate deploy/x a=b", "delete pod $POD"])
    def test_commands_are_kept_as_written(self, command: str) -> None:
        assert one_step(action="kubectl", command=command)["command"] == command

    def test_parameters_of_a_translated_command_are_checked(self) -> None:
        step = STEP | {"action": "kubectl", "command": "set resources deploy/x --limits=memory=lots"}

        assert "memoryLimit" in complaints(steps=[step])["steps[0].command"][0]

    @pytest.mark.parametrize("action", ["Custom", "HelmRollback", "RetryJob", "ai-analyze", "notification"])
    def test_every_action_of_the_contract_is_accepted(self, action: str) -> None:
        assert one_step(action=action)["action"] == action

    def test_a_missing_required_parameter(self) -> None:
        assert complaints(steps=[STEP | {"action": "ScaleDeployment"}]) == {"steps[0].params.replicas": ["is required"]}
