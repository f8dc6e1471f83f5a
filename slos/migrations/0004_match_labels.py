from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('slos', '0003_broken_promises'),
    ]

    operations = [
        migrations.AddField(
            model_name='slo',
            name='match_labels',
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
