"""What an operator sees of clawback events: pages of them, by status."""

import base64
import binascii
from dataclasses import dataclass

from shared.errors import BadRequestError, InputFault
from shared.refunds.filing import RefundFiles
from shared.refunds.record import Refund
from shared.refunds.status import RefundStatus

ORDER = (RefundStatus.REVIEW, RefundStatus.UNMATCHED, RefundStatus.APPLIED, RefundStatus.IGNORED)
"""Where all statuses are asked for, those come first that want somebody's attention."""


@dataclass(frozen=True, slots=True)
class RefundPage:
    """A page of events; ``continuation_token`` is for the next one, if any."""

    refunds: list[Refund]
    continuation_token: str | None


class Listing:
    """Reads events. An event whose status changes meanwhile may be missing, or come twice."""

    def __init__(self, files: RefundFiles) -> None:
        self._files = files

    async def page(self, status: RefundStatus | None, size: int, token: str | None) -> RefundPage:
        """A page of one status or of all, within each the oldest first.

        :raises BadRequestError: the token is none that was given out for this.
        :raises UnavailableError: storage is away.
        """
        statuses = (status,) if status else ORDER
        first, after = _decoded(token, statuses) if token else (statuses[0], "")
        found: list[tuple[RefundStatus, str, Refund]] = []
        for each in statuses[statuses.index(first) :]:
            place = after if each is first else ""
            rows = await self._files.page(each, place, size + 1 - len(found))
            found += [(each, name, refund) for name, refund in rows]
            if len(found) > size:
                last, name, _ = found[size - 1]
                return RefundPage([refund for _, _, refund in found[:size]], _encoded(last, name))
        return RefundPage([refund for _, _, refund in found], None)


def _encoded(status: RefundStatus, place: str) -> str:
    return base64.urlsafe_b64encode(f"{status}|{place}".encode()).decode().rstrip("=")


def _decoded(token: str, statuses: tuple[RefundStatus, ...]) -> tuple[RefundStatus, str]:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode("ascii")
        named, _, place = text.partition("|")
        status = RefundStatus(named)
        if status not in statuses or not place.isprintable():
            raise ValueError("of another status")  # noqa: TRY301 - told below, as all that is none
    except (ValueError, binascii.Error) as error:
        detail = "is none that was given out for this"
        fault = InputFault("?continuationToken", detail)
        raise BadRequestError(f"The continuation token {detail}", faults=(fault,)) from error
    return status, place
