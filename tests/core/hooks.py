"""What the settings of these tests name: policies and reaction handlers."""

from datetime import datetime

from controlplane.core.errors import Conflict
from controlplane.core.models import Reaction
from controlplane.core.policies import Judged, NeedsApproval

JUDGED: list[Judged] = []
HANDLED: list[tuple[str, str, datetime]] = []


def watches(judged: Judged) -> None:
    """Lets everything pass and remembers it."""
    JUDGED.append(judged)


def refuses(judged: Judged) -> None:
    raise Conflict("not on a Sunday")


def wants_compliance(judged: Judged) -> NeedsApproval:
    return NeedsApproval(rule="tokens are looked at", role="compliance")


def wants_approver(judged: Judged) -> NeedsApproval:
    return NeedsApproval(rule="four eyes", role="approver")


def handles(reaction: Reaction, *, at: datetime) -> None:
    HANDLED.append((reaction.subject, reaction.environment, at))


def fails(reaction: Reaction, *, at: datetime) -> None:
    Reaction.objects.filter(pk=reaction.pk).update(payload={"half": "done"})
    raise OSError("no route to anywhere")
