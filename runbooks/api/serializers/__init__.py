"""Runbooks, remediation plans and approvals as the API shows them."""

from runbooks.api.serializers.remediations import RemediationDocument, remediation_document

__all__ = ["RemediationDocument", "remediation_document"]
