"""Is it alive, is it ready, what does it measure: healthz, readyz, metrics, and checks of the settings."""
