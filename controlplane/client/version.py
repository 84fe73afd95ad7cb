"""The version of the installed client, as the server's fleet page sees it."""

__version__ = "0.1.0"
USER_AGENT = f"controlplane-client/{__version__}"
