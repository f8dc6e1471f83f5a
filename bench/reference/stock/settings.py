"""What `django-admin startproject` and the quick starts of DRF and django-filter give, on our tables.

Connections are kept for ten minutes, as Django's deployment advice says. There is no limit of requests: DRF's own throttle
keeps a list of all requests of the minute, which would make it slower than it is.
"""

from aiops.settings import *  # noqa: F403 - the models, the database and the secrets are ours
from aiops.settings import DATABASES, INSTALLED_APPS

ROOT_URLCONF = "bench.reference.stock.urls"
WSGI_APPLICATION = "bench.reference.stock.wsgi.application"
INSTALLED_APPS = list(INSTALLED_APPS)
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DATABASES["default"] = {**DATABASES["default"], "ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["bench.reference.stock.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "bench.reference.stock.pagination.Pages",
}
