"""Documents that hold SLOs: OpenSLO and Sloth in, OpenSLO out. Pure."""

from collections.abc import Sequence
from typing import Any

from aiops import documents
from slos import definitions, openslo, openslo_export, sloth
from slos.shapes import Candidate


def read(found: Sequence[documents.Document]) -> list[Candidate]:
    """The SLOs of all documents in their order. OpenSLO objects may refer to objects of other documents."""
    candidates: list[Candidate] = []
    ours: list[documents.Document] = []
    for document in found:
        if sloth.belongs(document):
            candidates += sloth.read(document)
        elif document.problem or openslo.belongs(document):
            ours.append(document)
        else:
            problem = f"line {document.line}: neither {openslo.API_VERSION} nor Sloth's {sloth.VERSION}"
            candidates.append(Candidate(document.number, "", problem=problem))
    return sorted([*candidates, *openslo.read(ours)], key=lambda candidate: candidate.document)


def export(slo: Any) -> str:
    """The SLO as an OpenSLO document; importing it changes nothing."""
    return documents.write(openslo_export.write(definitions.body_of(slo), slo.imported))
