"""A Kubernetes cluster that exists only in memory, served over HTTP.

The demo and the tests need a cluster that gets sick in known ways and is cured by the right change, without containers,
root or minutes of waiting. This package answers like a real API server (calibrated against recorded answers of
Kubernetes 1.36), so the same official client, the same detectors and the same actions run against it unchanged.

Nothing here knows Django; only the management command and the app configuration do.
"""
