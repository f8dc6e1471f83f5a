from django.contrib import admin

from aiops.console.watched import Watched
from aiops.sequences.models import DailySequence


@admin.register(DailySequence)
class DailySequenceAdmin(Watched):
    list_display = ("prefix", "day", "last")
    list_filter = ("prefix",)
