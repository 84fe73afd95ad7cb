"""Revisions and what they consist of never change; serving processes hear at once when a token does."""

from typing import ClassVar

from django.db import migrations

from controlplane.core.append_only import append_only

NOTIFY_TOKENS = migrations.RunSQL(
    sql="""
    CREATE FUNCTION rulesets_notify_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('core_tokens', '');
        RETURN NULL;
    END $$;
    CREATE TRIGGER rulesets_tokens_change
        AFTER INSERT OR DELETE OR UPDATE OF secret_hash, previous_hash, previous_until, scopes, environment, surfaces,
            expires_at, revoked_at ON core_apitoken
        FOR EACH STATEMENT EXECUTE FUNCTION rulesets_notify_tokens();
    """,
    reverse_sql="""
    DROP TRIGGER rulesets_tokens_change ON core_apitoken;
    DROP FUNCTION rulesets_notify_tokens();
    """,
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("rulesets", "0001_revisions_heads_and_holds"),
        ("core", "0002_append_only_trails"),
    ]

    operations: ClassVar = [
        append_only("rulesets_section"),
        append_only("rulesets_storedfragment"),
        append_only("rulesets_revision"),
        append_only("rulesets_revisionsection"),
        append_only("rulesets_revisionfragment"),
        NOTIFY_TOKENS,
    ]
