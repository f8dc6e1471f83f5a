"""A plain Django REST framework project over the same tables."""
