import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiops.settings")

from aiops import gate

application = gate.guarded(get_wsgi_application())
