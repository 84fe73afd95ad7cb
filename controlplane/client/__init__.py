"""What a serving system installs: hold the newest ruleset, decide in this process, report what happened.

from controlplane.client import Candidate, Client

client = Client("https://rules.example", token, cache_dir="/var/cache/rules")
request = client.request("home-feed", {"user": "u-17"}, {"country": "NL"}, candidates, slots=10)
decision = client.decide_request(request)
client.track_decision(decision, request)
"""

from controlplane.client.client import Client
from controlplane.client.errors import (
    ClientError,
    DeliveryFailed,
    EventRefused,
    EventsDropped,
    HostCallFailed,
    PollFailed,
    RulesetRefused,
    TransportFailed,
)
from controlplane.client.settings import ClientStats, Limits
from controlplane.client.version import __version__
from controlplane.engine import Assignment, Candidate, Decision, Request, Ruleset

__all__ = [
    "Assignment",
    "Candidate",
    "Client",
    "ClientError",
    "ClientStats",
    "Decision",
    "DeliveryFailed",
    "EventRefused",
    "EventsDropped",
    "HostCallFailed",
    "Limits",
    "PollFailed",
    "Request",
    "Ruleset",
    "RulesetRefused",
    "TransportFailed",
    "__version__",
]
