"""Shared plumbing of the REST API: envelopes, errors, paging, filters, limits. Files are named as in `rest_framework`."""
