"""The catalogue: environments, surfaces, audiences, items, attributes."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import controlplane.core.records


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Audience",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        error_messages={"unique": "This key is taken; choose another."},
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$|^[a-z0-9]$",
                                "Use 1 to 64 lower-case letters, digits, dots, dashes or underscores, beginning and ending with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("title", models.CharField(max_length=160)),
                ("owner", models.CharField(max_length=160)),
                (
                    "salt",
                    models.CharField(
                        default=controlplane.core.records.new_salt, editable=False, max_length=32
                    ),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
            ],
            options={
                "ordering": ["key"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Surface",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        error_messages={"unique": "This key is taken; choose another."},
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$|^[a-z0-9]$",
                                "Use 1 to 64 lower-case letters, digits, dots, dashes or underscores, beginning and ending with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("title", models.CharField(max_length=160)),
                ("owner", models.CharField(max_length=160)),
                (
                    "salt",
                    models.CharField(
                        default=controlplane.core.records.new_salt, editable=False, max_length=32
                    ),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
            ],
            options={
                "ordering": ["key"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Attribute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=160)),
                (
                    "subject_kind",
                    models.CharField(choices=[("request", "Request"), ("item", "Item")], max_length=8),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("string", "Text"),
                            ("number", "Number"),
                            ("boolean", "Yes or no"),
                            ("datetime", "Date and time"),
                            ("list", "List"),
                            ("object", "Object"),
                        ],
                        max_length=8,
                    ),
                ),
                ("description", models.CharField(blank=True, default="", max_length=500)),
                ("private", models.BooleanField(default=False)),
                ("values_seen", models.JSONField(default=list)),
                ("seen_count", models.PositiveBigIntegerField(default=0)),
                ("first_seen_at", models.DateTimeField(blank=True, null=True)),
                ("last_seen_at", models.DateTimeField(blank=True, null=True)),
                (
                    "source",
                    models.CharField(
                        choices=[("learned", "Learned"), ("edited", "Edited by a person")],
                        default="learned",
                        max_length=8,
                    ),
                ),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
            ],
            options={
                "ordering": ["subject_kind", "name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("subject_kind", "name"),
                        name="catalog_attribute_once",
                        violation_error_message="There is an attribute of that name already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("private", False), ("values_seen", []), _connector="OR"),
                        name="catalog_attribute_private_keeps_no_values",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AudienceVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("content", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=160)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="catalog.audience",
                    ),
                ),
            ],
            options={
                "ordering": ["-number"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="AudiencePointer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("environment", models.CharField(max_length=64)),
                ("since", models.DateTimeField()),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pointers",
                        to="catalog.audience",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="catalog.audienceversion",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Environment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        error_messages={"unique": "This key is taken; choose another."},
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$|^[a-z0-9]$",
                                "Use 1 to 64 lower-case letters, digits, dots, dashes or underscores, beginning and ending with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[("production", "Production"), ("staging", "Staging")],
                        default="staging",
                        max_length=16,
                    ),
                ),
                (
                    "colour",
                    models.CharField(
                        default="#4b5563",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^#[0-9a-f]{6}$", "Write the colour as # and six lower-case hex digits."
                            )
                        ],
                    ),
                ),
                ("protected", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(editable=False)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
            ],
            options={
                "ordering": ["key"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["production", "staging"])),
                        name="catalog_environment_kind",
                        violation_error_message="An environment is production or staging.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("colour__regex", "^#[0-9a-f]{6}$")),
                        name="catalog_environment_colour",
                        violation_error_message="Write the colour as # and six lower-case hex digits.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("item_id", models.CharField(max_length=128, unique=True)),
                ("title", models.CharField(blank=True, default="", max_length=300)),
                ("image_url", models.CharField(blank=True, default="", max_length=2000)),
                ("attributes", models.JSONField(default=dict)),
                ("signals", models.JSONField(default=dict)),
                ("provider", models.CharField(blank=True, default="", max_length=128)),
                ("available", models.BooleanField(default=True)),
                (
                    "regions",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=16), blank=True, null=True, size=None
                    ),
                ),
                ("first_seen_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["item_id"],
                "indexes": [
                    models.Index(fields=["provider", "item_id"], name="catalog_item_provider"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("item_id", ""), _negated=True), name="catalog_item_id_not_empty"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("image_url", ""), ("image_url__startswith", "https://"), _connector="OR"
                        ),
                        name="catalog_item_image_https",
                        violation_error_message="Images are shown over https only.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SurfaceVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("content", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=160)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="catalog.surface",
                    ),
                ),
            ],
            options={
                "ordering": ["-number"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SurfacePointer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("environment", models.CharField(max_length=64)),
                ("since", models.DateTimeField()),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pointers",
                        to="catalog.surface",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="catalog.surfaceversion",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddConstraint(
            model_name="audienceversion",
            constraint=models.UniqueConstraint(
                fields=("record", "number"), name="catalog_audienceversion_number_once"
            ),
        ),
        migrations.AddIndex(
            model_name="audiencepointer",
            index=models.Index(fields=["environment"], name="catalog_audience_live"),
        ),
        migrations.AddConstraint(
            model_name="audiencepointer",
            constraint=models.UniqueConstraint(
                fields=("record", "environment"), name="catalog_audiencepointer_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="surfaceversion",
            constraint=models.UniqueConstraint(
                fields=("record", "number"), name="catalog_surfaceversion_number_once"
            ),
        ),
        migrations.AddIndex(
            model_name="surfacepointer",
            index=models.Index(fields=["environment"], name="catalog_surface_live"),
        ),
        migrations.AddConstraint(
            model_name="surfacepointer",
            constraint=models.UniqueConstraint(
                fields=("record", "environment"), name="catalog_surfacepointer_once"
            ),
        ),
    ]
