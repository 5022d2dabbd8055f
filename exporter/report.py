"""What the log says of an ended call: one event, one line."""

import structlog

from exporter.model import Answer, Change
from exporter.state import Asked, Ending, Held, Next

log = structlog.get_logger()


def ended(operation: str, name: str, ending: Ending, answer: Answer, following: Next | None) -> None:
    """How the poll ended: a failure is a warning with what came and when the list is asked again."""
    say = log.warning if ending.outcome.is_failure else log.debug
    say(
        "poll failed" if ending.outcome.is_failure else "poll",
        operation=operation,
        list=name,
        outcome=str(ending.outcome),
        status=answer.status,
        detail=answer.detail or None,
        records=ending.records,
        next=None if following is None else round(following.at),
    )


def asked(operation: str, name: str, answer: Asked) -> None:
    """That somebody asked for a poll, and when it will be made."""
    log.info("poll asked for", operation=operation, list=name, next=round(answer.at), rule=str(answer.rule))


def rejected(operation: str, name: str, ending: Ending) -> None:
    """That rows could not be read, so that the answer removes nothing."""
    log.warning("rows rejected, none is taken as removed", operation=operation, list=name, rejected=ending.rejected)


def held(operation: str, name: str, answer: Held, *, names: bool) -> None:
    """That an answer is not believed yet, and what it lacks; by name where names may be shown."""
    missing = [" ".join(filter(None, (*row.key, row.title if names else ""))) for row in answer.missing[:MOST_NAMED]]
    log.warning(
        "answer held back until the next one agrees",
        operation=operation,
        list=name,
        missing=len(answer.missing),
        first=", ".join(missing),
    )


def changed(operation: str, change: Change, *, names: bool) -> None:
    """One change, with before and after; without the names of entities where they are not to be shown."""
    change = change.shown(names=names)
    log.info(
        "changed",
        operation=operation,
        list=change.list,
        change=str(change.kind),
        key=" ".join(change.key),
        name=change.name or None,
        before=change.before or None,
        after=change.after or None,
        before_name=change.before_name or None,
        after_name=change.after_name or None,
    )


MOST_NAMED = 10  # missing entities that the log names one by one
