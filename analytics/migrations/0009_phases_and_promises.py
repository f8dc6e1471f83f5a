from django.db import migrations, models

HOURS = {
    "postgresql": "(FLOOR(EXTRACT(EPOCH FROM {time}))::bigint / 3600)::int",
    "sqlite": "CAST(strftime('%s', {time}) AS INTEGER) / 3600",
}
ROWS = (("incident", "incidents_incident", "detected_at"), ("plan", "runbooks_remediationplan", "created_at"))


def make_again(apps, schema_editor):
    """The roll-ups that lack the distributions of phases count as outdated."""
    for family, table, time in ROWS:
        hour = HOURS[schema_editor.connection.vendor].format(time=time)
        schema_editor.execute(
            f"INSERT INTO analytics_outdatedhour (family, hour) SELECT DISTINCT '{family}', {hour} FROM {table}"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0008_incidents_by_hour_and_place"),
        ("incidents", "0001_initial"),
        ("runbooks", "0001_initial"),
    ]

    operations = [
        *(
            migrations.AddField("incidentrollup", f"{name}_histogram", models.BinaryField(default=bytes))
            for name in ("detection", "analysis", "approval", "remediation", "acknowledge")
        ),
        migrations.AddField("incidentrollup", "sla_promised", models.IntegerField(default=0)),
        migrations.AddField("planrollup", "verification_histogram", models.BinaryField(default=bytes)),
        migrations.RunPython(make_again, migrations.RunPython.noop),
    ]
