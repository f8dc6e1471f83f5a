from django.db import migrations

HOURS = {
    "postgresql": "(FLOOR(EXTRACT(EPOCH FROM detected_at))::bigint / 3600)::int",
    "sqlite": "CAST(strftime('%s', detected_at) AS INTEGER) / 3600",
}


def make_again(apps, schema_editor):
    """Roll-ups of workloads are kept by hour and over severities now: the old ones lack these, so all are made again."""
    apps.get_model("analytics", "WorkloadRollup").objects.using(schema_editor.connection.alias).all().delete()
    hour = HOURS[schema_editor.connection.vendor]
    schema_editor.execute(
        f"INSERT INTO analytics_outdatedhour (family, hour) SELECT DISTINCT 'workload', {hour} FROM incidents_incident"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0006_costs"),
        ("incidents", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_again, migrations.RunPython.noop)]
