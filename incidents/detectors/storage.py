"""Rules on PersistentVolumeClaims and PersistentVolumes (rule book 4.6)."""

from collections.abc import Iterator

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, Verdict, signal
from incidents.detectors.fields import ABSENT, Condition, Obj, text

_PROVISIONING_EVENTS = frozenset({"ProvisioningFailed", "FailedBinding"})
_WAITING_EVENTS = frozenset({"WaitForFirstConsumer"})
_RESIZE_ERRORS = ("ControllerResizeError", "NodeResizeError")
_LEGACY_CLASS = "volume.beta.kubernetes.io/storage-class"


def judge_claim(claim: Obj, context: Context) -> Iterator[Outcome]:
    phase = fields.status(claim).get("phase")
    if phase == "Lost":
        yield signal(
            "pvc_lost",
            claim,
            reason="Lost",
            message=f"The volume {text(fields.spec(claim).get('volumeName'))} behind the claim is gone",
            at=fields.created_at(claim),
        )
    elif fields.is_deleting(claim):
        yield Verdict.PROGRESSING
    elif phase == "Bound":
        yield from _resize(claim, fields.conditions(claim), context)
    else:
        yield from _pending(claim, context)


def _pending(claim: Obj, context: Context) -> Iterator[Outcome]:
    """Pending alone is contested between tools, so it takes a failed attempt, a waiting pod or a class that binds at once."""
    since = fields.created_at(claim)
    why = _why_pending(claim, context)
    if why is None or since is None or not context.held(since, context.thresholds.pvc_pending):
        yield Verdict.PROGRESSING
        return
    reason, message = why
    yield signal(
        "pvc_pending",
        claim,
        reason=reason,
        message=f"The claim is not bound: {message}",
        at=since,
        evidence={"storageClass": _class_of(claim, context)},
    )


def _why_pending(claim: Obj, context: Context) -> tuple[str, str] | None:
    view = context.related
    for event in view.events_with(claim, _PROVISIONING_EVENTS):
        if event.is_warning:
            return event.reason, event.message
    meta = fields.metadata(claim)
    storage_class = _class_of(claim, context)
    if (text(meta.get("namespace")), text(meta.get("name"))) in view.claims_in_use:
        return "Pending", "a pod waits for it"
    if not view.knows("StorageClass"):
        return None
    if storage_class and storage_class not in view.binding_modes:
        return "ProvisioningFailed", f'storage class "{storage_class}" does not exist'
    waits_by_design = view.binding_modes.get(storage_class) == "WaitForFirstConsumer"
    if waits_by_design or any(True for _ in view.events_with(claim, _WAITING_EVENTS)):
        return None
    return ("Pending", f'storage class "{storage_class}" has not provided a volume') if storage_class else None


def _class_of(claim: Obj, context: Context) -> str:
    named = text(fields.spec(claim).get("storageClassName")) or text(fields.annotations(claim).get(_LEGACY_CLASS))
    return named or context.related.default_class


def _resize(claim: Obj, conditions: dict[str, Condition], context: Context) -> Iterator[Outcome]:
    for kind in _RESIZE_ERRORS:
        error = conditions.get(kind, ABSENT)
        if error.is_true:
            yield signal("volume_resize_failed", claim, reason=kind, message=error.message or kind, at=error.since)
            return
    for event in context.related.events_with(claim, frozenset({"VolumeResizeFailed"})):
        if event.is_warning and context.is_recent(event.at, context.thresholds.event_age):
            yield signal("volume_resize_failed", claim, reason=event.reason, message=event.message, at=event.at)
            return
    pending = conditions.get("FileSystemResizePending", ABSENT)
    if pending.is_true:
        if context.held(pending.since, context.thresholds.volume_resize):
            yield signal(
                "volume_resize_failed",
                claim,
                reason="FileSystemResizePending",
                message="The file system waits to be resized; older drivers need the pod restarted",
                at=pending.since,
            )
        else:
            yield Verdict.PROGRESSING


def judge_volume(volume: Obj, context: Context) -> Iterator[Outcome]:
    """Available and Released are resting states."""
    status = fields.status(volume)
    if status.get("phase") == "Failed":
        message = text(status.get("message")) or text(status.get("reason")) or "The volume failed"
        at = fields.parse_time(status.get("lastPhaseTransitionTime")) or fields.created_at(volume)
        yield signal("pv_failed", volume, reason=text(status.get("reason")) or "Failed", message=message, at=at)
    elif status.get("phase") == "Pending" or fields.is_deleting(volume):
        yield Verdict.PROGRESSING
