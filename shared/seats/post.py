"""Jobs that come in over the public queue ``seat-jobs``."""

import msgspec

from shared.correlation import get_logger
from shared.errors import StorekeeperError, UnavailableError
from shared.messages import GivenUpError
from shared.seats.intake import Intake, JobRequest
from shared.seats.messages import SeatJobMessage
from shared.seats.names import UserList, in_json
from shared.seats.sheets import MAX_BYTES, read_users
from shared.storage.blobs import Container
from shared.storage.queues import Queue
from shared.store.models.business import ProductKey

CONTAINER = "seat-jobs"
"""Where lists of users lie."""

LEAST_DELAY = 30.0
"""Seconds before a job is offered again that could not be looked at."""

_log = get_logger(__name__)


class Post:
    """Takes jobs from the queue."""

    def __init__(self, intake: Intake, lists: Container, queue: Queue) -> None:
        self._intake = intake
        self._lists = lists
        self._queue = queue

    async def take(self, message: SeatJobMessage) -> None:
        """Accept a job. One that comes while its Store is away is put back, and not given up however long that is.

        :raises GivenUpError: it can never be accepted; says why.
        :raises UnavailableError: storage is away.
        """
        try:
            users = await self._users(message)
            product = ProductKey(message.product_id, message.sku_id)
            await self._intake.accept(JobRequest(message.job_id, message.tenant_id, product, message.action, users))
        except UnavailableError as error:
            _log.warning("job %s is offered again later: %s", message.job_id, error)
            await self._queue.send_text(_text(message), delay=max(error.retry_after, LEAST_DELAY))
        except StorekeeperError as error:
            if error.status >= 500:
                raise
            raise GivenUpError(_why(error)) from error

    async def _users(self, message: SeatJobMessage) -> UserList:
        if message.users is not None and message.users_blob is None:
            return in_json(message.users)
        if message.users_blob is None or message.users is not None:
            raise GivenUpError("either users or usersBlob is expected")
        content = await self._lists.read(message.users_blob.removeprefix(f"{CONTAINER}/"), MAX_BYTES)
        if content is None:
            raise GivenUpError(f"there is no blob {message.users_blob}")
        return read_users(content)


def _text(message: SeatJobMessage) -> str:
    """A message in no more bytes than it came in: what fitted into the queue once fits into it again.

    Names stand as they are, and not in ASCII; but for the two characters that XML, in which messages travel, has no way
    to write, and that therefore came as escapes, too.
    """
    named = {name: value for name, value in msgspec.to_builtins(message).items() if value is not None}
    return msgspec.json.encode(named).decode().replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def _why(error: StorekeeperError) -> str:
    faults = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in error.faults[:5])
    return f"{error.detail} ({faults})" if faults else error.detail
