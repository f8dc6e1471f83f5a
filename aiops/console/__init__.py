"""The operator console: Django admin with Unfold. Apps register their models on the default site as usual."""
