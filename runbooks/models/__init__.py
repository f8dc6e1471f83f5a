from runbooks.models.approval import ApprovalDecision, ApprovalPolicy, ApprovalRequest
from runbooks.models.plan import AutomationSwitch, PlanStep, RemediationPlan
from runbooks.models.runbook import Category, Runbook, RunbookVersion

__all__ = [
    "ApprovalDecision",
    "ApprovalPolicy",
    "ApprovalRequest",
    "AutomationSwitch",
    "Category",
    "PlanStep",
    "RemediationPlan",
    "Runbook",
    "RunbookVersion",
]
