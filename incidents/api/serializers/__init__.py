"""Shapes of the incidents app: what the API writes and reads (contract/api.md §3, §7, §12; extensions X2, X3)."""
