"""Announces that a message went out. Sent in the transaction that marks it as sent; carries `notification` and `at`."""

from django.dispatch import Signal

notification_sent = Signal()
