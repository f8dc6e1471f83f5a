"""What happened to plans and approvals, announced inside the transaction. Every signal carries `plan` or `approval`."""

from django.dispatch import Signal

plan_created = Signal()
plan_finished = Signal()
approval_requested = Signal()
approval_decided = Signal()
