"""Which labels a selector means."""

from incidents.detectors.fields import Obj, mapping, objects, text


def holds(selector: object, labels: Obj) -> bool:
    """A label selector, as budgets have it. None selects nothing, an empty one everything; what we cannot read, nothing."""
    if not isinstance(selector, dict):
        return False
    wanted = mapping(selector.get("matchLabels"))
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _expression_holds(one, labels) for one in objects(selector.get("matchExpressions"))
    )


def _expression_holds(expression: Obj, labels: Obj) -> bool:
    key, operator = text(expression.get("key")), expression.get("operator")
    values = expression.get("values")
    listed = isinstance(values, list) and labels.get(key) in values
    if operator == "In":
        return key in labels and listed
    if operator == "NotIn":
        return not listed
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels
