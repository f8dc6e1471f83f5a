from django.db import migrations

HOURS = {
    "postgresql": "(FLOOR(EXTRACT(EPOCH FROM detected_at))::bigint / 3600)::int",
    "sqlite": "CAST(strftime('%s', detected_at) AS INTEGER) / 3600",
}


def make_again(apps, schema_editor):
    """Hours of incidents are kept over clusters and over namespaces now; the roll-ups that lack these count as outdated."""
    hour = HOURS[schema_editor.connection.vendor]
    schema_editor.execute(
        f"INSERT INTO analytics_outdatedhour (family, hour) SELECT DISTINCT 'incident', {hour} FROM incidents_incident"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0007_workloads_by_hour"),
        ("incidents", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_again, migrations.RunPython.noop)]
