"""The project: composition root, and everything that the apps share."""

from aiops.celery import app as celery_app

__all__ = ["celery_app"]
