#!/bin/bash
# Runs once, on an empty data volume: the two roles, the database, and what each may do (as the embedded server has it).
set -euo pipefail
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" -v owner="$OWNER_PASSWORD" -v web="$WEB_PASSWORD" <<'SQL'
CREATE ROLE controlplane LOGIN PASSWORD :'owner';
CREATE ROLE controlplane_web LOGIN PASSWORD :'web';
CREATE DATABASE controlplane OWNER controlplane;
SQL
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname controlplane -f /controlplane/grants.sql
