import pytest

from incidents import risk
from incidents.risk import Graded


def seen(*signals: str, severity: str = "low", source: str = "watcher") -> set[Graded]:
    return {Graded(signal, severity, source) for signal in signals}


class TestScore:
    @pytest.mark.parametrize(
        ("signals", "score"),
        [
            (("pod_restart",), 25),
            (("error_rate",), 30),
            (("pod_restart", "deploy_failing", "pod_not_ready"), 70),
            (("error_rate", "latency", "pod_restart"), 75),
            (("error_rate", "latency", "pod_restart", "cpu_high"), 90),
            (("oom_kill", "crashloop_backoff", "error_rate", "latency"), 100),
            (("node_not_ready",), 35),
        ],
    )
    def test_is_the_capped_sum_of_distinct_signals(self, signals: tuple[str, ...], score: int) -> None:
        assert risk.score(seen(*signals)) == score

    def test_a_signal_counts_once_whoever_saw_it(self) -> None:
        assert risk.score(seen("latency") | seen("latency", source="prometheus", severity="high")) == 20

    def test_unknown_signals_weigh_what_their_origin_thinks(self) -> None:
        assert risk.score(seen("strange", severity="critical")) == 40


class TestSeverity:
    @pytest.mark.parametrize(
        ("score", "severity"), [(80, "critical"), (79, "high"), (60, "high"), (30, "medium"), (29, "low")]
    )
    def test_follows_the_thresholds(self, score: int, severity: str) -> None:
        assert risk.by_score({"latency"}, score) == severity

    def test_an_oom_kill_is_critical(self) -> None:
        assert risk.severity(seen("oom_kill"), 40) == "critical"
        assert risk.severity_of("oom_kill") == "critical"

    def test_what_the_origin_says_is_the_floor(self) -> None:
        assert risk.severity(seen("latency", severity="high"), 20) == "high"

    def test_a_lone_alert_is_as_bad_as_its_sender_says(self) -> None:
        assert risk.severity(seen("oom_kill", severity="low", source="prometheus"), 40) == "low"

    def test_together_they_can_be_worse(self) -> None:
        signals = seen("error_rate", "latency", "pod_restart", source="prometheus")
        assert risk.severity(signals, risk.score(signals)) == "high"

    @pytest.mark.parametrize(
        ("score", "severity", "utmost"), [(100, "critical", True), (99, "critical", False), (100, "high", False)]
    )
    def test_has_an_end(self, score: int, severity: str, utmost: bool) -> None:
        assert risk.is_utmost(score, severity) is utmost
