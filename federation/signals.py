"""What others may want to know of clusters; sent inside the transaction of the change."""

from django.dispatch import Signal

cluster_changed = Signal()  # cluster: its health or its registration
