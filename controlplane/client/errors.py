"""What can go wrong between a host and its control plane. None of these is raised into the host's request:
they are handed to ``on_error`` and logged."""


class ClientError(Exception):
    """Root of everything the client reports through ``on_error``."""


class TransportFailed(ClientError):
    """The server did not answer: refused, timed out, broke off, or the address is wrong."""


class PollFailed(ClientError):
    """The server answered a poll with something other than a ruleset or "not modified".

    ``status`` is the HTTP status; 401 and 403 mean the token is wrong, expired or lacks ``ruleset:read``.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class RulesetRefused(ClientError):
    """A ruleset arrived and was not taken; the last good one stays in force.

    ``code`` is one of ``unreadable``, ``invalid``, ``other_environment``, ``lower_revision``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DeliveryFailed(ClientError):
    """A batch of events was not acknowledged and will be sent again, after ``retry_after`` seconds if given."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class EventRefused(ClientError):
    """The server put one event into quarantine, or the event could not be written as JSON."""

    def __init__(self, event_id: str | None, code: str, message: str) -> None:
        super().__init__(message)
        self.event_id = event_id
        self.code = code


class EventsDropped(ClientError):
    """Memory and disk for waiting events were full, so ``count`` events were thrown away."""

    def __init__(self, count: int, message: str) -> None:
        super().__init__(message)
        self.count = count


class HostCallFailed(ClientError):
    """A call from the host could not be done as asked; the answer it received was the safe one."""
