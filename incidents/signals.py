"""What happened to incidents, announced to the apps above. Sent inside the transaction; receivers enqueue on commit.

Every signal carries `incident`.
"""

from django.dispatch import Signal

incident_opened = Signal()
incident_analyzed = Signal()
incident_escalated = Signal()
incident_acknowledged = Signal()
incident_resolved = Signal()
