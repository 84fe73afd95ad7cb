"""Why an installation will not start, one sentence and one exit code each."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What `manage.py up`, `backup` and `restore` exit with; 0 is a clean stop, 1 a crash of ours."""

    SETTINGS = 2
    PORT_TAKEN = 3
    ANOTHER_COPY = 4
    DISK_FULL = 5
    OPEN_FILES = 6
    WHEEL_MISSING = 7
    OTHER_MAJOR = 8
    NOT_WRITABLE = 9
    CRASH_LOOP = 10
    SERVER_UNSUITABLE = 11
    NOT_EMPTY = 12
    DAMAGED = 13


class Refusal(Exception):
    """The installation cannot do what was asked; the message says what to change, on one line."""

    def __init__(self, exit_code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
