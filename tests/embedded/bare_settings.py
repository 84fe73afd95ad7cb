"""Settings with this app alone: the supervisor is tested without the product it supervises."""

import os
from pathlib import Path

SECRET_KEY = os.environ.get("SECRET_KEY", "of tests")
INSTALLED_APPS = ["controlplane.embedded"]
USE_TZ = True

VAR_DIR = Path(os.environ.get("VAR_DIR", "var"))
DATABASE_OWNER_URL = os.environ.get("DATABASE_OWNER_URL", "")
DATABASE_DIRECT_URL = os.environ.get("DATABASE_DIRECT_URL", "")
LAKE_URL = os.environ.get("LAKE_URL", f"file://{VAR_DIR / 'lake'}")
KEYS_DIR = VAR_DIR / "keys"
STATE_DIR = VAR_DIR / "state"
AUDIT_ANCHOR_FILE = VAR_DIR / "anchors" / "audit.jsonl"
