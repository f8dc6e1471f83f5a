"""A bare WSGI application."""
