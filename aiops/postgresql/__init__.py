"""Django's PostgreSQL backend with three measured changes (see `base.py`); the vendor stays `postgresql`."""
