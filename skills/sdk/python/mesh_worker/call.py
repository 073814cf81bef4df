"""One call of a skill, and how it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of a skill."""

    #: What it is called with; it fits the skill's schema.
    input: Any
    #: The same key always means the same work.
    key: str
    #: Counts the step's attempts, from 1.
    attempt: int
    #: The tenant.
    tenant: str
    #: The run that it belongs to.
    run: str
    #: The step in the run.
    step: str
    #: Which item of a for-each.
    item: int | None
    #: W3C trace context; empty when there is none.
    traceparent: str
    #: The lineage key from intent to runtime signal, ``trace-…``.
    trace: str
    #: Set when nobody wants the outcome any more.
    cancelled: threading.Event = field(repr=False)
    _progress: Callable[[str], None] = field(repr=False)

    def progress(self, text: str) -> None:
        """Tells people how it goes: a line in the step's log. Lost when the connection is."""
        self._progress(text)


class Failure(Exception):
    """Why a call gave nothing. The class decides whether the step is tried again."""

    def __init__(
        self,
        failure_class: str,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        details: Any = None,
    ) -> None:
        """``failure_class`` is validation, external, timeout, resource or internal; ``retry_after`` is in seconds."""
        super().__init__(message)
        self.failure_class = failure_class
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.details = details

    @classmethod
    def validation(cls, code: str, message: str, **more: Any) -> Failure:
        """The input is wrong: the same again fails again, so it is not tried again."""
        return cls("validation", code, message, **more)

    @classmethod
    def external(cls, code: str, message: str, **more: Any) -> Failure:
        """Something outside failed, and may work later."""
        return cls("external", code, message, **more)

    @classmethod
    def resource(cls, code: str, message: str, **more: Any) -> Failure:
        """A bound was reached: memory, disk, a quota."""
        return cls("resource", code, message, **more)

    @classmethod
    def internal(cls, code: str, message: str, **more: Any) -> Failure:
        """A bug of the skill."""
        return cls("internal", code, message, **more)
