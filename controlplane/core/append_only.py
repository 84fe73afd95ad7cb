"""Migration operations that make a table append-only, for every role and beyond the reach of the application."""

from __future__ import annotations

from django.db.migrations import RunSQL

REFUSE_CHANGE = RunSQL(
    sql="""
    CREATE FUNCTION controlplane_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END $$;
    """,
    reverse_sql="DROP FUNCTION controlplane_refuse_change();",
)


def append_only(table: str) -> RunSQL:
    """Refuse UPDATE, DELETE and TRUNCATE on the table by trigger, and take those rights from the web role where it exists."""
    return RunSQL(
        sql=f"""
        CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION controlplane_refuse_change();
        CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION controlplane_refuse_change();
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'controlplane_web') THEN
                REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM controlplane_web;
            END IF;
        END $$;
        """,  # noqa: S608 - table names are constants of the migrations
        reverse_sql=f"DROP TRIGGER {table}_rows ON {table}; DROP TRIGGER {table}_truncate ON {table};",
    )
