"""The operation: one verb, one transaction, one lock, one audit event. Nothing that writes goes round it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from django.apps import apps
from django.db import IntegrityError, models, transaction

from controlplane.core import audit, policies, reactions, registry, security
from controlplane.core.actors import Actor
from controlplane.core.differences import difference
from controlplane.core.errors import Conflict, DomainError, FieldError, Forbidden, NotFound, Stale


class Auditable(Protocol):
    """The root of an aggregate: it counts its changes and can tell its whole content."""

    pk: Any
    row_version: int

    def audit_snapshot(self) -> dict[str, Any]: ...


A = TypeVar("A", bound=models.Model)


def subject_of(row: Any) -> str:
    """`app.model:key`, the name by which everything else speaks of the row."""
    subject = getattr(row, "subject", None)
    if subject:
        return str(subject)
    return f"{row._meta.app_label}.{row._meta.model_name}:{getattr(row, 'key', None) or row.pk}"


class _Operation:
    """The three forms: on a row, `create`, `batch`."""

    @contextlib.contextmanager
    def __call__(
        self,
        name: str,
        row: A,
        *,
        by: Actor,
        at: datetime | None = None,
        expects: int | None = None,
        environment: str = "",
        surfaces: Iterable[str] = (),
        arguments: Mapping[str, Any] | None = None,
    ) -> Generator[A, None, None]:
        """Do `name` to a row: lock its root, check permission, version and policies, run the body, record the difference.

        Yields the freshly read, locked row; work on that one. `expects` is the row version the caller saw.
        `surfaces` are those the operation touches (a role may be limited to some). Raises Forbidden, NotFound, Stale,
        ApprovalRequired, what a policy raises and what the body raises; then nothing is written but a security-log line.
        """
        moment = at or datetime.now(UTC)
        subject = subject_of(row)
        with _refusals(name, subject, by, moment), _constraints(type(row)), transaction.atomic():
            locked = type(row)._default_manager.select_for_update(no_key=True).filter(pk=row.pk).first()
            if locked is None:
                raise NotFound(f"{subject} is no longer there")
            root: Any = locked
            touched = tuple(surfaces) or tuple(getattr(root, "touched_surfaces", lambda: ())())
            _permit(name, subject, by, touched, environment)
            if expects is not None and expects != root.row_version:
                raise Stale(
                    f"{subject} is at version {root.row_version}; you saw {expects}",
                    extra={"row_version": root.row_version, "expected": expects},
                )
            policies.judge(policies.Judged(name, subject, by, locked, environment, touched, arguments or {}))
            before = root.audit_snapshot()
            yield locked
            root.row_version += 1
            type(row)._default_manager.filter(pk=row.pk).update(row_version=root.row_version)
            root.refresh_from_db()
            changes = difference(before, root.audit_snapshot())
            _record(name, subject, by, moment, environment, changes, root.row_version)
        # The caller's own object must not keep an older version than the one just written.
        if row is not locked:
            row.refresh_from_db()

    @contextlib.contextmanager
    def create(
        self,
        name: str,
        *,
        by: Actor,
        model: type[A],
        at: datetime | None = None,
        environment: str = "",
        surfaces: Iterable[str] = (),
        arguments: Mapping[str, Any] | None = None,
    ) -> Generator[Callable[[A], A], None, None]:
        """Make a new row. Call what is yielded with the row, once; the audit event then holds its whole content.

        Uniqueness is the database's to decide: a breach of a named constraint comes back as Conflict with its message.
        """
        moment = at or datetime.now(UTC)
        kind = f"{model._meta.app_label}.{model._meta.model_name}"
        made: list[A] = []

        def created(row: A) -> A:
            made.append(row)
            return row

        with _refusals(name, kind, by, moment), _constraints(model), transaction.atomic():
            touched = tuple(surfaces)
            _permit(name, kind, by, touched, environment)
            policies.judge(policies.Judged(name, kind, by, None, environment, touched, arguments or {}))
            yield created
            if len(made) != 1:
                raise RuntimeError(f"{name} made {len(made)} rows; an operation.create makes one")
            root: Any = made[0]
            root.refresh_from_db()
            _record(
                name,
                subject_of(root),
                by,
                moment,
                environment,
                difference({}, root.audit_snapshot()),
                root.row_version,
            )

    @contextlib.contextmanager
    def batch(
        self,
        name: str,
        *,
        by: Actor,
        subject: str,
        at: datetime | None = None,
        environment: str = "",
        surfaces: Iterable[str] = (),
    ) -> Generator[BatchReport, None, None]:
        """Do one thing to many rows in one transaction, with one audit event: counts, the input's digest, per-row errors."""
        moment = at or datetime.now(UTC)
        report = BatchReport()
        with _refusals(name, subject, by, moment), transaction.atomic():
            touched = tuple(surfaces)
            _permit(name, subject, by, touched, environment)
            policies.judge(policies.Judged(name, subject, by, None, environment, touched, {}))
            yield report
            _record(name, subject, by, moment, environment, report.to_json(), None)

    @contextlib.contextmanager
    def together(self) -> Generator[None, None, None]:
        """One transaction around an operation and what must be written with it or not at all.

        A refusal inside undoes everything, its line in the security log included; so the line is written again here.
        """
        try:
            with transaction.atomic():
                yield
        except DomainError as refusal:
            if refusal.security_line:
                security.record(**refusal.security_line)
            raise


@dataclass(slots=True)
class BatchReport:
    """What a batch did. The audit event keeps the counts, the digest and the first hundred errors."""

    counts: dict[str, int] = field(default_factory=dict)
    errors: list[tuple[int, FieldError]] = field(default_factory=list)
    input_digest: str = ""

    def count(self, what: str, number: int = 1) -> None:
        """Add to a named count such as `created`."""
        self.counts[what] = self.counts.get(what, 0) + number

    def error(self, line: int, problem: FieldError) -> None:
        """Note that line `line` (from 0) was refused, and why."""
        self.errors.append((line, problem))

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": dict(sorted(self.counts.items())),
            "input_digest": self.input_digest,
            "error_count": len(self.errors),
            "errors": [{"line": line, **problem.to_json()} for line, problem in self.errors[:100]],
        }


operation = _Operation()


def _permit(name: str, subject: str, by: Actor, surfaces: tuple[str, ...], environment: str) -> None:
    if not by.may(name, surfaces=surfaces, environment=environment or None):
        where = f" on {', '.join(surfaces)}" if surfaces else ""
        raise Forbidden(f"{by.name} may not {name}{where}", extra={"operation": name})


def _record(
    name: str,
    subject: str,
    by: Actor,
    at: datetime,
    environment: str,
    changes: dict[str, Any],
    row_version: int | None,
) -> None:
    audit.append(
        operation=name,
        subject=subject,
        actor=by,
        at=at,
        environment=environment,
        difference=changes,
        row_version=row_version,
    )
    reactions.enqueue(operation=registry.find(name), subject=subject, environment=environment, at=at)


@contextlib.contextmanager
def _refusals(name: str, subject: str, by: Actor, at: datetime) -> Generator[None, None, None]:
    """Write one security-log line for a refusal, after the refused transaction is gone."""
    try:
        yield
    except (Forbidden, policies.ApprovalRequired) as refusal:
        refusal.security_line = {
            "kind": "refused",
            "at": at,
            "actor": by,
            "operation": name,
            "subject": subject,
            "code": refusal.code,
            "detail": refusal.detail,
        }
        if not transaction.get_connection().needs_rollback:
            security.record(**refusal.security_line)
        raise


def _constraints_of_app(model: type[models.Model]) -> Iterable[models.BaseConstraint]:
    """The model's constraints, then those of its app's other models: children are written through their root."""
    siblings = apps.get_app_config(model._meta.app_label).get_models()
    return (each for one in (model, *siblings) for each in one._meta.constraints)


@contextlib.contextmanager
def _constraints(model: type[models.Model]) -> Generator[None, None, None]:
    """Say a breached constraint in the model's own words."""
    try:
        yield
    except IntegrityError as error:
        breached = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
        for constraint in _constraints_of_app(model):
            if constraint.name == breached:
                raise Conflict(
                    str(constraint.get_violation_error_message()), extra={"constraint": breached}
                ) from error
        for unique in model._meta.fields:
            if unique.unique and not unique.primary_key and f"_{unique.column}_" in breached:
                message = str(unique.error_messages.get("unique", "This value is taken; choose another."))
                raise Conflict(
                    message, errors=[FieldError(unique.name, message, "Choose another value.")]
                ) from error
        raise
