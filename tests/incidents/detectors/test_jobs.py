import pytest

from incidents.detectors import Verdict
from tests.incidents.detectors.objects import (
    ago,
    condition,
    conditions_in,
    look,
    make_cron_job,
    make_job,
    owned_by,
)


class TestJob:
    @pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "PodFailurePolicy", "MaxFailedIndexesExceeded"])
    def test_the_failed_condition_fires(self, reason):
        signal = look(make_job("import", condition("Failed", reason=reason))).signals[0]

        assert (signal.condition, signal.signal_type, signal.reason) == ("job_failed", "job_failed", reason)

    def test_a_passed_deadline_has_its_own_condition(self):
        finding = look(make_job("import", condition("Failed", reason="DeadlineExceeded")))

        assert conditions_in(finding) == ["job_deadline_exceeded"]

    @pytest.mark.parametrize("kind", ["Complete", "SuccessCriteriaMet"])
    def test_success_wins_over_failed_pods(self, kind):
        assert look(make_job("import", condition(kind), status={"failed": 4})).verdict is Verdict.HEALTHY

    def test_failed_pods_alone_are_retries(self):
        finding = look(make_job(status={"active": 1, "failed": 3}))

        assert finding.verdict is Verdict.PROGRESSING
        assert (conditions_in(finding), finding.signals[0].informational) == (["job_retrying"], True)

    def test_a_suspended_job_is_healthy(self):
        assert look(make_job(spec={"suspend": True})).verdict is Verdict.HEALTHY

    def test_no_status_is_progressing(self):
        job = make_job()
        job["status"] = None

        assert look(job).verdict is Verdict.PROGRESSING

    def test_running_for_half_a_day_fires(self):
        assert conditions_in(look(make_job(status={"active": 1, "startTime": ago(hours=13)}))) == ["job_not_completing"]

    def test_a_failure_is_history_once_a_newer_run_succeeded(self):
        owner = {"ownerReferences": owned_by("CronJob", "nightly")}
        failed = make_job("nightly-1", condition("Failed"), metadata=owner | {"creationTimestamp": ago(hours=30)})
        newer = make_job("nightly-2", condition("Complete"), metadata=owner | {"creationTimestamp": ago(hours=6)})

        assert look(failed, newer).verdict is Verdict.HEALTHY


class TestCronJob:
    def test_a_successful_last_run_is_healthy(self):
        cron_job = make_cron_job(lastScheduleTime=ago(minutes=0), lastSuccessfulTime=ago(minutes=0))

        assert look(cron_job).verdict is Verdict.HEALTHY

    def test_a_suspended_one_is_healthy(self):
        cron_job = make_cron_job(spec={"suspend": True}, lastScheduleTime=ago(days=9))

        assert look(cron_job).verdict is Verdict.HEALTHY

    def test_a_failed_last_run_fires_after_one_period(self):
        cron_job = make_cron_job(lastScheduleTime=ago(minutes=60), lastSuccessfulTime=ago(minutes=120))

        assert conditions_in(look(cron_job)) == ["cronjob_last_run_failed"]

    def test_a_last_run_that_did_not_fail_is_no_signal(self):
        owner = {"ownerReferences": owned_by("CronJob", "nightly")}
        cron_job = make_cron_job(lastScheduleTime=ago(minutes=60), lastSuccessfulTime=ago(minutes=120))

        assert look(cron_job, make_job("nightly-1", condition("Complete"), metadata=owner)).signals == ()

    def test_an_active_run_explains_everything(self):
        cron_job = make_cron_job(active=[{"name": "nightly-1"}], lastScheduleTime=ago(days=2))

        assert look(cron_job).verdict is Verdict.HEALTHY

    def test_two_missed_periods_fire(self):
        cron_job = make_cron_job(lastScheduleTime=ago(minutes=180), lastSuccessfulTime=ago(minutes=175))

        signal = look(cron_job).signals[0]

        assert (signal.condition, signal.signal_type) == ("cronjob_missed_schedule", "cronjob_missed")

    def test_one_missed_period_does_not(self):
        cron_job = make_cron_job(lastScheduleTime=ago(minutes=120), lastSuccessfulTime=ago(minutes=115))

        assert look(cron_job).signals == ()

    def test_a_daily_job_is_not_late_in_the_evening(self):
        cron_job = make_cron_job("0 3 * * *", lastScheduleTime=ago(hours=9), lastSuccessfulTime=ago(hours=9))

        assert look(cron_job).verdict is Verdict.HEALTHY

    @pytest.mark.parametrize("schedule", ["61 * * * *", "every day", "* * * *", ""])
    def test_a_schedule_that_does_not_parse_fires(self, schedule):
        assert conditions_in(look(make_cron_job(schedule))) == ["cronjob_invalid_schedule"]

    def test_a_deadline_below_ten_seconds_fires(self):
        cron_job = make_cron_job(
            spec={"startingDeadlineSeconds": 5}, lastScheduleTime=ago(minutes=0), lastSuccessfulTime=ago(minutes=0)
        )

        assert conditions_in(look(cron_job)) == ["cronjob_invalid_schedule"]
