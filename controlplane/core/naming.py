"""How things may be called. No Django, so that laws may use it."""

KEY_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$|^[a-z0-9]$"
