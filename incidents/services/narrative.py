"""Lets the language model, if there is one, word what the rules found; the rules' result stands in every other case."""

from dataclasses import replace
from datetime import datetime

from aiops.llm import services as llm
from incidents.analysis import prompt
from incidents.analysis.conclusion import Conclusion
from incidents.analysis.context import Context
from incidents.models import Incident


def told_by_model(*, incident: Incident, context: Context, rules: Conclusion, at: datetime) -> Conclusion:
    """`rules`, or the model's analysis of the same evidence."""
    model = llm.provider()
    if model is None:
        return rules
    answer = llm.ask(
        purpose="analysis",
        subject=llm.Subject(incident.name, incident.cluster_name, incident.namespace, incident.severity),
        prompt=prompt.build(context, rules),
        check=lambda text: prompt.read(text, context=context, rules=rules),
        at=at,
    )
    return rules if answer is None else replace(answer, provider=model.name, model=model.model)
