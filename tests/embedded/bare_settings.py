"""Settings with this app alone: the supervisor is tested without the product it supervises."""

SECRET_KEY = "of tests"
INSTALLED_APPS = ["controlplane.embedded"]
USE_TZ = True
