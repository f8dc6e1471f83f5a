"""All settings, from the environment only (docs/configuration.md lists them).

Without `DATABASE_URL` and `REDIS_URL` this is the embedded mode: SQLite, Celery over files and limits in the database
directory, nothing to install. With them it is the services mode. The code is the same.
"""

import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from aiops.env import env_bool, env_decimal, env_int, env_json, env_list, env_secret, env_str, env_zone
from aiops.llm import prices
from aiops.money import parse_rates

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env_str("AIOPS_DATA_DIR", str(BASE_DIR / "var"))).resolve()
VERSION = "0.1.0"

DATABASE_URL = env_str("DATABASE_URL")
REDIS_URL = env_str("REDIS_URL")
EMBEDDED = DATABASE_URL.startswith("sqlite:///") or not DATABASE_URL
TESTING = "pytest" in sys.modules

# --- secrets ---------------------------------------------------------------------------------------------------------

if EMBEDDED:
    SECRET_KEY = env_secret("AIOPS_SECRET_KEY", DATA_DIR / "secret_key", lambda: secrets.token_urlsafe(50))
    ENCRYPTION_KEYS = [
        key.strip()
        for key in env_secret(
            "AIOPS_ENCRYPTION_KEYS", DATA_DIR / "encryption_keys", lambda: Fernet.generate_key().decode()
        ).split(",")
    ]
else:
    SECRET_KEY = env_str("AIOPS_SECRET_KEY")
    ENCRYPTION_KEYS = env_list("AIOPS_ENCRYPTION_KEYS")
    if not SECRET_KEY or not ENCRYPTION_KEYS:
        raise ImproperlyConfigured("With DATABASE_URL set, AIOPS_SECRET_KEY and AIOPS_ENCRYPTION_KEYS are required")

# --- what the product does ---------------------------------------------------------------------------------------------

AIOPS_PORT = env_int("CHATCLI_API_PORT", env_int("CHATCLI_AIOPS_PORT", 8090), minimum=1)
AIOPS_DEV_MODE = env_bool("CHATCLI_OPERATOR_DEV_MODE", False)
AIOPS_API_KEYS_FILE = env_str("CHATCLI_API_KEYS_FILE")
AIOPS_CORS_ORIGINS = env_list("CHATCLI_API_CORS_ORIGINS")
AIOPS_RATE_LIMITS = {
    "viewer": env_int("CHATCLI_API_RATE_LIMIT_VIEWER", 100, minimum=1),
    "operator": env_int("CHATCLI_API_RATE_LIMIT_OPERATOR", 500, minimum=1),
    "admin": env_int("CHATCLI_API_RATE_LIMIT_ADMIN", 1000, minimum=1),
}
AIOPS_EXPORT_SYNC_MAX = env_int("CHATCLI_API_EXPORT_SYNC_MAX", 10_000, minimum=1)
AIOPS_POLL_INTERVAL = env_int("AIOPS_POLL_INTERVAL", 15, minimum=1)  # seconds between two looks at a cluster
AIOPS_DETECTION_GRACE = env_int("AIOPS_DETECTION_GRACE", 100)  # percent of the time a condition must hold to be raised
AIOPS_VERIFY_SOAK = env_int("AIOPS_VERIFY_SOAK", 120)  # seconds of good samples before a plan counts as verified
AIOPS_VERIFY_INTERVAL = env_int("AIOPS_VERIFY_INTERVAL", 5, minimum=1)  # seconds between two samples
AIOPS_SWEEP_INTERVAL = env_int("AIOPS_SWEEP_INTERVAL", 5, minimum=1)  # seconds between two looks for rows that are due
AIOPS_RETRY_BACKOFF = env_int(
    "AIOPS_RETRY_BACKOFF", 30
)  # seconds before the second attempt, doubled for each further one
AIOPS_CANARY_SOAK = env_int(
    "AIOPS_CANARY_SOAK", 600
)  # seconds that the other prod clusters wait once a plan helped in the first one
AIOPS_PLAN_LEASE = env_int(
    "AIOPS_PLAN_LEASE", 180, minimum=5
)  # seconds after which another worker takes over the plan of a worker that died
AIOPS_MAX_ATTEMPTS = env_int("AIOPS_MAX_ATTEMPTS", 5, minimum=1)  # remediation attempts of an incident
AIOPS_SLO_INTERVAL = env_int("AIOPS_SLO_INTERVAL", 60, minimum=10)  # seconds between two evaluations of an SLO
AIOPS_SLO_DELAY = env_int("AIOPS_SLO_DELAY", 60)  # how far back Prometheus is asked, so that scrapes have landed
AIOPS_ALLOW_PRIVATE_ADDRESSES = env_bool("AIOPS_ALLOW_PRIVATE_ADDRESSES", EMBEDDED)
AIOPS_KUBECONFIG = env_str("AIOPS_KUBECONFIG") or env_str("KUBECONFIG")
AIOPS_SIMULATOR_PORT = env_int("AIOPS_SIMULATOR_PORT", 8091, minimum=1)  # the simulated cluster of `make run`
AIOPS_NAMESPACE = env_str("AIOPS_NAMESPACE", "aiops-system")  # where the platform itself runs: never remediated
AIOPS_PROTECTED_NAMESPACES = env_list(
    "AIOPS_PROTECTED_NAMESPACES",
    "kube-system,kube-public,kube-node-lease,istio-system,cert-manager,argocd,flux-system",
)
AIOPS_OBSERVER_CLUSTERS = env_int("AIOPS_OBSERVER_CLUSTERS", 50, minimum=1)  # that one observer takes at most
AIOPS_OBSERVER_METRICS_PORT = env_int("AIOPS_OBSERVER_METRICS_PORT", 0)  # where an observer serves /metrics; 0: nowhere
AIOPS_OBSERVER_METRICS_HOST = env_str("AIOPS_OBSERVER_METRICS_HOST", "127.0.0.1")
AIOPS_WEB_THREADS = env_int("AIOPS_WEB_THREADS", 6, minimum=1)  # requests at work at once in a web process
AIOPS_EVENT_STREAMS = env_int("AIOPS_EVENT_STREAMS", 500, minimum=0)  # listeners that it holds open besides
AIOPS_KUBECONFIG_DIR = env_str("AIOPS_KUBECONFIG_DIR")  # every file in it is a cluster
# every key of the Secret namespace/name, or every Secret namespace/label=value, is a cluster …
AIOPS_KUBECONFIG_SECRET = env_str("AIOPS_KUBECONFIG_SECRET")
AIOPS_KUBECONFIG_SECRET_CLUSTER = env_str("AIOPS_KUBECONFIG_SECRET_CLUSTER")  # … of this cluster; else of our own
AIOPS_LLM_BASE_URL = env_str("AIOPS_LLM_BASE_URL")
AIOPS_LLM_API_KEY = env_str("AIOPS_LLM_API_KEY")
AIOPS_LLM_MODEL = env_str("AIOPS_LLM_MODEL")
AIOPS_LLM_TIMEOUT = env_int("AIOPS_LLM_TIMEOUT", 60, minimum=1)
AIOPS_LLM_PROVIDER = env_str("AIOPS_LLM_PROVIDER").lower()  # who is paid; told by the address where that is known
AIOPS_LLM_PRICES = env_json("AIOPS_LLM_PRICES", "[]", prices.parse)  # before the built-in ones
# in the currency, within a day or month UTC; 0: no limit
AIOPS_LLM_BUDGET_INCIDENT = env_decimal("AIOPS_LLM_BUDGET_INCIDENT", "0")
AIOPS_LLM_BUDGET_DAY = env_decimal("AIOPS_LLM_BUDGET_DAY", "0")
AIOPS_LLM_BUDGET_MONTH = env_decimal("AIOPS_LLM_BUDGET_MONTH", "0")
AIOPS_CURRENCY = env_str("AIOPS_CURRENCY", "USD")  # of all amounts, the prices of language models too
AIOPS_OUTAGE_COST = env_json("AIOPS_OUTAGE_COST", '{"default": 10}', parse_rates)  # per minute, by place (aiops.money)
AIOPS_TIME_ZONE = env_zone("AIOPS_TIME_ZONE", "UTC")  # in which people have nights and weekends
AIOPS_ENGINEER_COST = env_decimal("AIOPS_ENGINEER_COST", "75")  # per hour
AIOPS_LOG_SCRUB_PATTERNS = env_list("CHATCLI_LOG_SCRUB_PATTERNS")

# --- Django --------------------------------------------------------------------------------------------------------------

DEBUG = env_bool("AIOPS_DEBUG", False)
ALLOWED_HOSTS = env_list("AIOPS_ALLOWED_HOSTS", "*" if EMBEDDED else "")
CSRF_TRUSTED_ORIGINS = env_list("AIOPS_CSRF_TRUSTED_ORIGINS")
ROOT_URLCONF = "aiops.urls"
WSGI_APPLICATION = "aiops.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False  # RTE-1: both forms answer directly

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "aiops.console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "aiops.console.apps.ConsoleConfig",
    "aiops.apikeys",
    "aiops.audit",
    "aiops.sequences",
    "aiops.tallies",
    "aiops.notifications",
    "aiops.llm",
    "aiops.health",
    "aiops.api",
    "aiops.simulator",
    "federation",
    "incidents",
    "runbooks",
    "slos",
    "analytics",
]

MIDDLEWARE = [
    "aiops.api.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "aiops.api.middleware.ApiMiddleware",
    # programs go past those of aiops.console: the API authenticates by itself and needs no session
    "aiops.console.middleware.WhiteNoiseMiddleware",
    "aiops.console.middleware.SessionMiddleware",
    "aiops.console.middleware.CommonMiddleware",
    "aiops.console.middleware.CsrfViewMiddleware",
    "aiops.console.middleware.AuthenticationMiddleware",
    "aiops.console.middleware.MessageMiddleware",
    "aiops.console.middleware.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- database, cache -----------------------------------------------------------------------------------------------------

if EMBEDDED:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    DATABASES: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATABASE_URL.removeprefix("sqlite:///") or DATA_DIR / "aiops.sqlite3",
            "CONN_MAX_AGE": None,  # opening the file and setting its pragmas costs more than most requests
            "OPTIONS": {
                # IMMEDIATE: a transaction takes the write lock when it begins, so a read is never stale when it writes
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            "TEST": {"NAME": env_str("AIOPS_TEST_DATABASE") or None},
        }
    }
else:
    DATABASES = {"default": dict(dj_database_url.parse(DATABASE_URL, conn_max_age=None, conn_health_checks=True))}
    DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        DATABASES["default"]["ENGINE"] = "aiops.postgresql"
        # None behind a pooler that hands a connection to others between two statements
        prepared = env_bool("AIOPS_PREPARED_STATEMENTS", True)
        DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 0 if prepared else None
        if prepared:
            # compiling a report's sums takes longer than adding them up: 140 of 470 ms (a pooler may refuse the option)
            DATABASES["default"]["OPTIONS"].setdefault("options", "-c jit=off")

if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    RATE_LIMIT_STORAGE = REDIS_URL
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    # RATE-7 wants counters shared by all processes: without Redis there is exactly one web process (Procfile)
    RATE_LIMIT_STORAGE = "memory://"

# --- Celery --------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = env_str("CELERY_BROKER_URL") or REDIS_URL or "filesystem://localhost//"
# whoever publishes learns at once that the broker is away, rather than after trying for the time of a connection
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {"visibility_timeout": 3600, "max_retries": 1, "interval_start": 0}
if CELERY_BROKER_URL.startswith("filesystem:"):
    _broker = DATA_DIR / "broker"
    for _folder in ("messages", "control"):
        (_broker / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
        "polling_interval": 0.5,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A row's state is the queue and a message only a nudge: while the broker is away, publishing fails fast and the sweep does it
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# A full prefetch makes the filesystem transport sleep for a polling interval, however fast the tasks are: one message at a
# time would be two per second and thread. There is one worker only, so it takes nothing away from another one.
CELERY_WORKER_PREFETCH_MULTIPLIER = 16 if CELERY_BROKER_URL.startswith("filesystem:") else 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Celery would open a connection for each task. Ours are kept while they work, see aiops.celery.keep_connections
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BEAT_SCHEDULER = "aiops.beat:LeasedScheduler"
CELERY_TIMEZONE = "UTC"

# separate queues, so that a burst of one kind does not starve another
CELERY_TASK_ROUTES = {
    "incidents.tasks.poll_*": {"queue": "poll"},
    "federation.tasks.*": {"queue": "poll"},
    "runbooks.tasks.*": {"queue": "remediation"},
    "aiops.notifications.tasks.*": {"queue": "notify"},
    "slos.tasks.evaluate_due": {"queue": "slos"},
    "aiops.audit.tasks.write_export": {"queue": "reports"},
    "aiops.audit.tasks.verify_audit": {"queue": "reports"},
    "aiops.audit.tasks.forget": {"queue": "reports"},
    "analytics.tasks.send_report": {"queue": "reports"},
    "analytics.tasks.refresh_rollups": {"queue": "reports"},
    "analytics.tasks.sample_cluster": {"queue": "poll"},
}


def _every(task: str, seconds: float) -> dict[str, object]:
    """A schedule entry. A nudge that was not taken before the next one comes is worth nothing: it expires.

    Not too soon, though: a loaded machine that takes a second for a message would throw them all away.
    """
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 10.0)}}


_sweep = float(AIOPS_SWEEP_INTERVAL)
_patient = max(_sweep, 5.0)  # for what is due by the minute, so that a demo in a hurry does not hurry there

CELERY_BEAT_SCHEDULE = {
    "poll-due-clusters": _every("incidents.tasks.poll_due_clusters", min(_sweep, float(AIOPS_POLL_INTERVAL))),
    "check-due-clusters": _every("federation.tasks.check_due_clusters", _patient),
    "read-kubeconfigs": _every("federation.tasks.read_kubeconfigs", 10.0),
    "forget-health-samples": _every("federation.tasks.forget_old_samples", 3600.0),
    "sweep-incidents": _every("incidents.tasks.sweep", _sweep),
    "correlate-fleet": _every("incidents.tasks.correlate_fleet", _patient),
    "sweep-escalations": _every("incidents.tasks.sweep_escalations", _patient),
    "sweep-plans": _every("runbooks.tasks.sweep", _sweep),
    "sweep-slos": _every("slos.tasks.sweep", _patient),
    "sweep-sla-clocks": _every("slos.tasks.sweep_clocks", _patient),
    "forget-slo-measurements": _every("slos.tasks.forget", 3600.0),
    "fold-tallies": _every("aiops.tallies.tasks.fold", _sweep),
    "sweep-notifications": _every("aiops.notifications.tasks.sweep", _patient),
    "sweep-audit-exports": _every("aiops.audit.tasks.sweep_exports", _patient),
    "sample-usage": _every("analytics.tasks.sample_usage", 300.0),
    "refresh-rollups": _every("analytics.tasks.refresh_rollups", 30.0),
    "sweep-reports": _every("analytics.tasks.sweep_reports", 30.0),
    "verify-audit": _every("aiops.audit.tasks.verify_audit", 3600.0),
    "forget-audit-records": _every("aiops.audit.tasks.forget", 3600.0),
    "forget-llm-calls": _every("aiops.llm.tasks.forget", 3600.0),
    "forget-notifications": _every("aiops.notifications.tasks.forget", 3600.0),
    "forget-suppressed-signals": _every("incidents.tasks.forget_suppressed", 3600.0),
    "forget-attachments": _every("aiops.notifications.tasks.forget_attachments", 3600.0),
    "forget-idempotency-keys": _every("aiops.apikeys.tasks.forget_idempotency_keys", 3600.0),
}

# --- time, text, files ---------------------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "/static/"
STATIC_ROOT = (DATA_DIR if EMBEDDED else BASE_DIR / "build") / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()  # where nobody ran collectstatic the packages have the files

# --- security ------------------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# TLS ends at a proxy in the services mode; the embedded mode is plain HTTP on the loopback
SECURE_COOKIES = env_bool("AIOPS_SECURE_COOKIES", not EMBEDDED)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_SSL_REDIRECT = env_bool("AIOPS_SSL_REDIRECT", False)
SECURE_REDIRECT_EXEMPT = [r"^(?:healthz|readyz|metrics)/?$"]  # probes come by plain HTTP from inside the cluster
SECURE_HSTS_SECONDS = env_int("AIOPS_HSTS_SECONDS", 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env_bool("AIOPS_HSTS_SUBDOMAINS", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("AIOPS_BEHIND_PROXY", False) else None
SECURE_CONTENT_TYPE_NOSNIFF = True
LOGIN_URL = "/console/login/"
DATA_UPLOAD_MAX_MEMORY_SIZE = 9 * 1024 * 1024  # the API has limits of its own (CNT-6, X1.4)

# --- e-mail --------------------------------------------------------------------------------------------------------------

EMAIL_HOST = env_str("AIOPS_EMAIL_HOST", "localhost")
EMAIL_PORT = env_int("AIOPS_EMAIL_PORT", 25, minimum=1)
EMAIL_HOST_USER = env_str("AIOPS_EMAIL_USER")
EMAIL_HOST_PASSWORD = env_str("AIOPS_EMAIL_PASSWORD")
EMAIL_USE_TLS = env_bool("AIOPS_EMAIL_TLS", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_str("AIOPS_EMAIL_FROM", "aiops@localhost")

# --- API -----------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "aiops.apikeys.authentication.ApiKeyAuthentication",
        "aiops.apikeys.authentication.ConsoleSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["aiops.apikeys.permissions.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["aiops.api.throttling.RoleRateThrottle"],
    "DEFAULT_PARSER_CLASSES": ["aiops.api.parsers.AnyTypeJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "aiops.api.renderers.JSONRenderer",
        "aiops.api.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "aiops.api.negotiation.BrowserOrJSON",
    "DEFAULT_SCHEMA_CLASS": "aiops.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "aiops.api.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "aiops",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

UNFOLD = {
    "SITE_TITLE": "aiops",
    "SITE_HEADER": "aiops",
    "SITE_SUBHEADER": "Site reliability for Kubernetes",
    "SITE_SYMBOL": "monitor_heart",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
}

# --- logs ----------------------------------------------------------------------------------------------------------------

LOG_LEVEL = env_str("AIOPS_LOG_LEVEL", "INFO").upper()
LOG_JSON = env_bool("AIOPS_LOG_JSON", not EMBEDDED)
LOGGING_CONFIG = "aiops.logs.configure"
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}

# --- retention: days that rows are kept; 0: for ever ----------------------------------------------------------------------

AIOPS_AUDIT_RETENTION_DAYS = env_int("AIOPS_AUDIT_RETENTION_DAYS", 0)
AIOPS_NOTIFICATION_RETENTION_DAYS = env_int("AIOPS_NOTIFICATION_RETENTION_DAYS", 400)  # of messages that are done with
AIOPS_LLM_RETENTION_DAYS = env_int("AIOPS_LLM_RETENTION_DAYS", 400)  # calls of language models
AIOPS_SUPPRESSED_RETENTION_DAYS = env_int("AIOPS_SUPPRESSED_RETENTION_DAYS", 400)  # signals that became no incident

# how long an Idempotency-Key is remembered (CON-4)
IDEMPOTENCY_RETENTION = timedelta(hours=24)
