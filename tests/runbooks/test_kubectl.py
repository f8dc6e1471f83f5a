import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbooks import kubectl
from runbooks.kubectl import Change, CommandError, Diagnostic, Reference, Verb, parse

WORDS = [
    *(
        "kubectl",
        "-n",
        "--replicas=3",
        "$POD",
        "${NAME}",
        "x",
        "a=b",
        "-",
        "--",
        "/",
        "'",
        '"',
        "=",
        "pod/",
        "/x",
        "-o",
    ),
    *("yaml", "--limits=", "--limits=cpu=", "old-", "-l", "--tail=5", "-c", "--to-revision=2", "$RESOURCE"),
    *kubectl.VERBS,
    *kubectl.KIND_OF,
]


class TestReadOnlyVerbs:
    def test_top_of_the_contract(self) -> None:
        assert parse("top pod $POD --containers") == Diagnostic(Verb.TOP, Reference("Pod", "$POD"), per_container=True)

    @pytest.mark.parametrize(
        "command", ["get pods -n shop", "kubectl get po --namespace=shop", "get pod --namespace shop"]
    )
    def test_get_in_all_its_spellings(self, command: str) -> None:
        assert parse(command) == Diagnostic(Verb.GET, Reference("Pod", "", "shop"))

    def test_get_takes_selector_and_output(self) -> None:
        parsed = parse("get deploy/checkout -l app=checkout -o yaml")

        assert parsed == Diagnostic(
            Verb.GET, Reference("Deployment", "checkout"), selector="app=checkout", output="yaml"
        )

    def test_describe_needs_an_object(self) -> None:
        with pytest.raises(CommandError, match="names no object"):
            parse("describe pods")

    def test_logs_of_the_previous_container(self) -> None:
        parsed = parse("logs $POD -c web -p --tail=20")

        assert parsed == Diagnostic(Verb.LOGS, Reference("Pod", "$POD"), container="web", previous=True, tail=20)

    def test_logs_are_bounded(self) -> None:
        with pytest.raises(CommandError, match="from 1 to 1000"):
            parse("logs x --tail=100000")

    def test_rollout_status(self) -> None:
        parsed = parse("rollout status deployment/${DEPLOYMENT} --timeout=30s")

        assert parsed == Diagnostic(Verb.ROLLOUT_STATUS, Reference("Deployment", "${DEPLOYMENT}"))

    def test_the_resource_of_the_incident(self) -> None:
        assert parse("describe $RESOURCE") == Diagnostic(Verb.DESCRIBE, Reference("$KIND", "$NAME"))

    @pytest.mark.parametrize("command", ["get secret x", "get secrets", "describe secret/x"])
    def test_secrets_are_never_read(self, command: str) -> None:
        with pytest.raises(CommandError, match="Secrets"):
            parse(command)


class TestTranslation:
    @pytest.mark.parametrize(
        ("command", "action", "params"),
        [
            ("scale deployment/checkout --replicas=3", "ScaleDeployment", {"replicas": "3"}),
            ("scale --replicas 3 sts checkout", "ScaleStatefulSet", {"replicas": "3"}),
            ("rollout restart deploy checkout", "RestartDeployment", {}),
            ("rollout restart daemonset/agent", "RestartDaemonSet", {}),
            ("rollout undo deployment/checkout", "RollbackDeployment", {}),
            ("rollout undo deployment/checkout --to-revision=4", "RollbackDeployment", {"toRevision": "4"}),
            (
                "set resources deployment/checkout -c web --limits=cpu=1,memory=512Mi --requests=memory=256Mi",
                "AdjustResources",
                {"container": "web", "cpuLimit": "1", "memoryLimit": "512Mi", "memoryRequest": "256Mi"},
            ),
            ("cordon node-1", "CordonNode", {"node": "node-1"}),
            ("uncordon node/node-1", "UncordonNode", {"node": "node-1"}),
            ("drain $NODE --ignore-daemonsets --delete-emptydir-data", "DrainNode", {"node": "$NODE"}),
            ("delete pod $POD", "DeletePod", {"pod": "$POD"}),
            (
                "annotate deploy/checkout example.com/why='a good reason'",
                "Annotate",
                {"example.com/why": "a good reason"},
            ),
            ("label node worker-1 pool=spare old-", "Label", {"pool": "spare", "old": ""}),
        ],
    )
    def test_a_mutating_verb_is_its_typed_action(self, command: str, action: str, params: dict[str, str]) -> None:
        parsed = parse(command)

        assert isinstance(parsed, Change)
        assert (parsed.action, parsed.params) == (action, params)

    def test_remembers_the_object_it_names(self) -> None:
        parsed = parse("rollout restart deployment/checkout -n shop")

        assert parsed.reference == Reference("Deployment", "checkout", "shop")


class TestRefusals:
    @pytest.mark.parametrize(
        "command",
        [
            "",
            "kubectl",
            "apply -f x.yaml",
            "exec x -- sh",
            "edit deployment/x",
            "delete deployment/x",
            "delete pod x --force",
            "delete pod --all",
            "get pods; rm -rf x",
            "get pods | head",
            "get pods > x",
            "get pods $(id)",
            "get pods `id`",
            "get pods && id",
            "get pods\nget nodes",
            "get 'pods",
            "get pods --kubeconfig=x",
            "get pods -o jsonpath={.items}",
            "get pods $HOME",
            "get widgets",
            "get pod a b",
            "scale deployment/x",
            "scale deployment/x --replicas=-1",
            "scale deployment/x --replicas=many",
            "scale daemonset/x --replicas=1",
            "set resources deployment/x",
            "set resources deployment/x --limits=gpu=1",
            "set image deployment/x a=b",
            "top deployment/x",
            "cordon pod/x",
            "label pod x",
            "label pod x pool='two words'",
            "annotate pod x =y",
            "rollout pause deployment/x",
            "rollout restart pod/x",
            "get pod Upper",
            "get pods --watch=maybe",
            "x" * 9000,
        ],
    )
    def test_is_refused(self, command: str) -> None:
        with pytest.raises(CommandError):
            parse(command)

    @given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)))
    @settings(max_examples=300, deadline=None)
    @example("get pod/")
    @example("- -")
    def test_nothing_but_its_own_error(self, command: str) -> None:
        try:
            parsed = parse(command)
        except CommandError:
            return

        assert isinstance(parsed, Diagnostic | Change)


class TestPlaceholders:
    def test_stand_for_the_object(self) -> None:
        values = kubectl.values_for(kind="Deployment", name="checkout", namespace="shop", POD="checkout-1")

        text = kubectl.substitute("$NAME ${NAMESPACE} $DEPLOYMENT $POD $RESOURCE", values)

        assert text == "checkout shop checkout checkout-1 deployment/checkout"

    def test_without_a_value_are_refused(self) -> None:
        with pytest.raises(CommandError, match=r"\$NODE"):
            kubectl.substitute("$NODE", kubectl.values_for(kind="Deployment", name="x", namespace="y"))
