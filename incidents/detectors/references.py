"""What a pod needs besides itself: ConfigMaps, Secrets and claims that it names and cannot start without."""

from collections.abc import Iterator
from itertools import islice

from incidents.detectors import fields
from incidents.detectors.base import Context, Outcome, signal
from incidents.detectors.fields import Obj, mapping, objects, text
from incidents.detectors.view import ResourceRef

MAX_REFERENCES = 100  # of one pod


def references_of(pod: Obj) -> Iterator[ResourceRef]:
    """Each once. What is marked optional is left out, as is what pods of an ephemeral claim bring themselves."""
    namespace = text(fields.metadata(pod).get("namespace"))
    spec = fields.spec(pod)
    found = dict.fromkeys((kind, name) for kind, name in _named(spec) if name)  # in the order of the specification
    for kind, name in islice(found, MAX_REFERENCES):
        yield ResourceRef(kind, namespace, name)


def _named(spec: Obj) -> Iterator[tuple[str, str]]:
    for volume in objects(spec.get("volumes")):
        yield from _of_source(volume, secret_name="secretName")  # noqa: S106 - the name of a member
        for source in objects(mapping(volume.get("projected")).get("sources")):
            yield from _of_source(source, secret_name="name")  # noqa: S106
        yield "PersistentVolumeClaim", text(mapping(volume.get("persistentVolumeClaim")).get("claimName"))
    for group in ("initContainers", "containers"):
        for container in objects(spec.get(group)):
            for source in objects(container.get("envFrom")):
                yield from _of_environment(source, "configMapRef", "secretRef")
            for variable in objects(container.get("env")):
                yield from _of_environment(mapping(variable.get("valueFrom")), "configMapKeyRef", "secretKeyRef")


def _of_source(source: Obj, *, secret_name: str) -> Iterator[tuple[str, str]]:
    for kind, member, key in (("ConfigMap", "configMap", "name"), ("Secret", "secret", secret_name)):
        named = mapping(source.get(member))
        if named.get("optional") is not True:
            yield kind, text(named.get(key))


def _of_environment(source: Obj, config_map: str, secret: str) -> Iterator[tuple[str, str]]:
    for kind, member in (("ConfigMap", config_map), ("Secret", secret)):
        named = mapping(source.get(member))
        if named.get("optional") is not True:
            yield kind, text(named.get("name"))


def waits(pod: Obj, context: Context) -> bool:
    """Whether the pod has been waiting for so long that something it names may be missing."""
    if fields.status(pod).get("phase") != "Pending" or fields.is_deleting(pod):
        return False
    return context.held(fields.created_at(pod), context.thresholds.missing_reference)


def judge_references(pod: Obj, context: Context) -> Iterator[Outcome]:
    """Something that does not exist is the cause of what the pod shows besides."""
    if not waits(pod, context):
        return
    for ref in references_of(pod):
        if not context.related.is_missing(ref):
            continue
        yield signal(
            "missing_reference",
            pod,
            reason=f"{ref.kind}NotFound",
            message=f"The pod needs the {ref.kind} {ref.name}, which does not exist",
            at=fields.created_at(pod),
            discriminator=str(ref),
            evidence={"missing": str(ref)},
        )
