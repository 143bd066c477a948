"""A call that is given up in the midst leaves nothing behind that a later one could trip over."""

import asyncio

from shared.store.transport import Transport
from tests.support.business import LoopbackStore
from tests.support.polling import eventually


async def test_the_connection_of_a_cancelled_call_is_not_used_again() -> None:
    async with LoopbackStore().running() as store:
        transport = Transport(store.url, 1)
        store.latency = 5.0

        async def has_arrived() -> bool:
            return store.in_flight == 1

        call = asyncio.ensure_future(transport.send("slow", "GET", "/slow", None, {}))
        await eventually(has_arrived)
        call.cancel()
        await asyncio.wait([call])
        store.latency = 0.0

        assert call.cancelled()
        assert transport._connections._idle == []
        for _ in range(3):
            response, _ = await transport.send("next", "GET", "/next", None, {})
            assert response.status_code == 200
        assert len(transport._connections._idle) == 1
        await transport.close()
