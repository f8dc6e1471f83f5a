from aiops.simulator.controllers.base import MAX_BURST, Controller, Later, drop_zeros
from aiops.simulator.deletion import delete
from aiops.simulator.objects import Obj, condition, is_active, is_ready, is_terminating, set_condition, timestamp
from aiops.simulator.resources import JOB, POD
from aiops.simulator.world import World

SOURCE = "job-controller"
RETRY_AFTER = 10.0  # cluster seconds before the first retry of a failed pod; doubles with each


class JobController(Controller):
    """Runs pods until enough have succeeded, or more have failed than `backoffLimit` allows."""

    kind = JOB.kind

    def __init__(self, world: World, later: Later) -> None:
        super().__init__(world, later)
        self._retry_at: dict[str, tuple[int, float]] = {}

    def reconcile(self, namespace: str, name: str) -> None:
        job = self.store.get(JOB, namespace, name)
        if job is None:
            return
        if any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions") or ()):
            return
        pods = self.store.children(job, POD)
        succeeded = sum(p.get("status", {}).get("phase") == "Succeeded" for p in pods)
        failed = sum(p.get("status", {}).get("phase") == "Failed" for p in pods)
        failed_runs = failed + restarts(pods)
        active = [p for p in pods if is_active(p)]
        conditions: list[Obj] = job.get("status", {}).get("conditions") or []
        if succeeded >= job["spec"]["completions"]:
            conditions = self._complete(job, conditions)
        elif failed_runs > job["spec"]["backoffLimit"]:
            conditions = self._fail(job, conditions)
            for pod in active:
                delete(self.store, POD, pod)
        elif job["spec"]["suspend"]:
            conditions = self._suspend(job, conditions)
            for pod in active:
                delete(self.store, POD, pod)
        else:
            conditions = [c for c in conditions if c["type"] != "Suspended"]
            self._run(job, len(active), succeeded, failed)
        self._report(job, conditions, succeeded, failed)

    def _run(self, job: Obj, active: int, succeeded: int, failed: int) -> None:
        spec, metadata = job["spec"], job["metadata"]
        missing = min(spec["parallelism"], spec["completions"] - succeeded) - active
        if missing <= 0:
            return
        if failed and not self._may_retry(metadata["uid"], failed, metadata["namespace"], metadata["name"]):
            return
        for _ in range(min(missing, MAX_BURST)):
            pod = self.create_pod(job, spec["template"])
            self.event(job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", SOURCE)

    def _may_retry(self, uid: str, failed: int, namespace: str, name: str) -> bool:
        """Whether the pause after the latest failure is over; if not, come back when it is."""
        now = self.world.clock.now()
        known = self._retry_at.get(uid)
        if known is None or known[0] != failed:
            known = self._retry_at[uid] = (failed, now + RETRY_AFTER * 2 ** min(failed - 1, 5))
        if now < known[1]:
            self.later(known[1] - now, self.kind, namespace, name)
            return False
        return True

    def _complete(self, job: Obj, conditions: list[Obj]) -> list[Obj]:
        self.event(job, "Completed", "Job completed", SOURCE)
        reached = ("CompletionsReached", "Reached expected number of succeeded pods")
        for kind in ("SuccessCriteriaMet", "Complete"):
            conditions = set_condition(conditions, job_condition(kind, *reached))
        self._retry_at.pop(job["metadata"]["uid"], None)
        return conditions

    def _fail(self, job: Obj, conditions: list[Obj]) -> list[Obj]:
        reached = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        self.event(job, *reached, SOURCE, kind="Warning")
        for kind in ("FailureTarget", "Failed"):
            conditions = set_condition(conditions, job_condition(kind, *reached))
        self._retry_at.pop(job["metadata"]["uid"], None)
        return conditions

    def _suspend(self, job: Obj, conditions: list[Obj]) -> list[Obj]:
        if condition(job, "Suspended") is None:
            self.event(job, "Suspended", "Job suspended", SOURCE)
        return set_condition(conditions, job_condition("Suspended", "JobSuspended", "Job suspended"))

    def _report(self, job: Obj, conditions: list[Obj], succeeded: int, failed: int) -> None:
        pods = self.store.children(job, POD)
        active = [p for p in pods if is_active(p)]
        old = job.get("status", {})
        status: Obj = {"conditions": conditions} if conditions else {}
        status["startTime"] = old.get("startTime", timestamp())
        if any(c["type"] == "Complete" for c in conditions):
            status["completionTime"] = timestamp()
        status |= {"active": len(active), "succeeded": succeeded, "failed": failed}
        status |= {"terminating": sum(map(is_terminating, pods)), "uncountedTerminatedPods": {}}
        status["ready"] = sum(map(is_ready, active))
        self.set_status(JOB, job, drop_zeros(status, "active", "succeeded", "failed"))


def restarts(pods: list[Obj]) -> int:
    """Failed runs inside pods that restart their containers themselves (`restartPolicy: OnFailure`)."""
    return sum(
        status["restartCount"]
        for pod in pods
        if pod["spec"]["restartPolicy"] == "OnFailure"
        for status in pod.get("status", {}).get("containerStatuses") or ()
    )


def job_condition(kind: str, reason: str, message: str) -> Obj:
    now = timestamp()
    times = {"lastProbeTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": "True"} | times | {"reason": reason, "message": message}
