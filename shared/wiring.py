"""Puts the parts together, once a process and each when it is first needed.

The only place that knows which parts there are. Functions get it from ``functions/parts.py``.
"""

from functools import cached_property, partial

from shared.auth.app_identity import AppIdentity
from shared.auth.callers import Callers
from shared.auth.entra import Entra
from shared.auth.issuer_keys import IssuerKeys
from shared.auth.tokens import StoreIdKind
from shared.auth.vault import Vault
from shared.catalog.basis import Basis
from shared.catalog.bringing import Bringing
from shared.catalog.downloader import LARGE_AT_ONCE, SMALL_AT_ONCE, Downloader
from shared.catalog.ending import Ending
from shared.catalog.fetching import Fetching
from shared.catalog.files import ARTWORK, PACKAGES
from shared.catalog.landing import Landing
from shared.catalog.licensing import LicenseSealer
from shared.catalog.listing import LEASE_DURATION as LISTING_LEASE
from shared.catalog.listing import Listing
from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE
from shared.catalog.missing import Missing
from shared.catalog.pieces import Pieces
from shared.catalog.reading import Reading
from shared.catalog.shelf import Shelf
from shared.catalog.starting import Starting
from shared.catalog.sweeping import Sweeper
from shared.catalog.working import Working
from shared.entitlements.change_filing import TABLE as SUBSCRIPTION_CHANGES_TABLE
from shared.entitlements.change_filing import ChangeFiles
from shared.entitlements.changing import Changes
from shared.entitlements.grant_filing import TABLE as FREE_PRODUCTS_TABLE
from shared.entitlements.grant_filing import GrantFiles
from shared.entitlements.granting import FreeProducts
from shared.entitlements.products import Products
from shared.entitlements.subscriptions import Subscriptions
from shared.errors import NotFoundError
from shared.events import QUEUE as EVENTS_QUEUE
from shared.events import Events
from shared.fulfillment.intake import Intake as FulfillmentIntake
from shared.fulfillment.messages import JOBS_QUEUE as FULFILLMENTS_QUEUE
from shared.fulfillment.messages import WORK_QUEUE as FULFILLMENT_WORK_QUEUE
from shared.fulfillment.sweeper import FulfillmentSweeper
from shared.fulfillment.work import Worker as FulfillmentWorker
from shared.health import Probe
from shared.keys.current import CurrentKeys
from shared.keys.filing import Files
from shared.keys.intake import Intake
from shared.keys.messages import QUEUE as RENEWALS_QUEUE
from shared.keys.renewal import LEASE_DURATION, Renewal
from shared.keys.sealing import KeySealer
from shared.ledger.ledger import Ledger
from shared.poison import Poison
from shared.refunds.address import Addresses
from shared.refunds.books import Books as RefundBooks
from shared.refunds.desk import Desk
from shared.refunds.drain import Drain
from shared.refunds.entitlements import Entitlements as RefundedEntitlements
from shared.refunds.filing import RefundFiles
from shared.refunds.listing import Listing as RefundListing
from shared.refunds.reconsuming import Reconsuming
from shared.refunds.running import LEASE_DURATION as REFUND_RUN_DURATION
from shared.refunds.running import Refunds
from shared.seats.calls import SeatCalls
from shared.seats.course import Course
from shared.seats.filing import JobFiles
from shared.seats.intake import Intake as SeatIntake
from shared.seats.live import LiveSeats
from shared.seats.messages import BLOCKS_QUEUE, JOBS_QUEUE, TURNS_QUEUE
from shared.seats.post import CONTAINER as USER_LISTS
from shared.seats.post import Post
from shared.seats.results import Results
from shared.seats.shares import Shares
from shared.seats.sweeper import SeatSweeper
from shared.seats.turns import Turns
from shared.seats.work import Blocks
from shared.settings import Identity, Settings
from shared.storage.account import Account
from shared.storage.blobs import Container
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.sealing import Sealer
from shared.storage.tables import Table
from shared.store.business import BusinessStore
from shared.store.clawback_queue import ClawbackQueue
from shared.store.collections import Collections
from shared.store.downloads import Downloads
from shared.store.key_service import KeyService
from shared.store.models.business import DistributionPolicy, ProductKey
from shared.store.purchase import Purchase
from shared.store.transport import Transport

STORE_IDS_TABLE = "storeids"
POISON_TABLE = "poison"

CATALOG_TABLE = "catalog"
SEAT_JOBS_TABLE = "seatjobs"
SEAT_TURNS_TABLE = "seatturns"

LEDGER_TABLE = "ledger"
ORDER_LINES_TABLE = "orderlines"
REFUNDS_TABLE = "refunds"

QUEUES = (
    RENEWALS_QUEUE,
    JOBS_QUEUE,
    TURNS_QUEUE,
    BLOCKS_QUEUE,
    PASSES_QUEUE,
    PIECES_QUEUE,
    DOWNLOADS_QUEUE,
    FULFILLMENTS_QUEUE,
    FULFILLMENT_WORK_QUEUE,
)
"""The queues that functions of ours read."""


class Wiring:
    """The parts of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def publisher(self) -> Identity:
        """The publisher's Entra app.

        :raises NotFoundError: the publisher's half is switched off.
        """
        identity = self.settings.publisher
        if identity is None:
            raise NotFoundError("The publisher's half is switched off: PUBLISHER_CLIENT_ID is empty")
        return identity

    @cached_property
    def callers(self) -> Callers:
        """Who calls us."""
        return Callers(self.settings.caller_issuers, self._issuer_keys)

    @cached_property
    def entra(self) -> Entra:
        """Tokens for the Store."""
        return Entra(self.settings, self._vault)

    def business(self, tenant_id: str) -> BusinessStore:
        """A tenant's Store for Business, one for each tenant.

        :raises NotFoundError: the tenant is not configured.
        """
        store = self._business_stores.get(tenant_id)
        if store is None:
            identity = next((each for each in self.settings.business_tenants if each.tenant_id == tenant_id), None)
            if identity is None:
                raise NotFoundError("No such tenant is configured")
            transport = Transport(self.settings.store_business_url, self.settings.store_concurrency)
            self._business_transports[tenant_id] = transport
            store = self._business_stores[tenant_id] = BusinessStore(identity, transport, self.entra)
        return store

    @cached_property
    def intake(self) -> Intake:
        """Keys that come in."""
        return Intake(
            self.publisher,
            self._files,
            self._key_sealer,
            self.entra,
            self._key_service,
            match_user=self.settings.store_id_match_user,
        )

    @cached_property
    def renewal(self) -> Renewal:
        """Keys that are kept alive."""
        return Renewal(
            self.publisher,
            self._files,
            self._key_sealer,
            self.entra,
            self._key_service,
            Events(self._events_queue),
            self._renewals_queue,
            Leases(self._store_ids_table, LEASE_DURATION),
        )

    @cached_property
    def current_keys(self) -> CurrentKeys:
        """Players' keys for calls to the Store."""
        return CurrentKeys(
            self.publisher,
            self._files,
            self._key_sealer,
            self.entra,
            self._key_service,
            Leases(self._store_ids_table, LEASE_DURATION),
        )

    @cached_property
    def collections(self) -> Collections:
        """What players own; its calls and the renewal of its keys share one budget."""
        return Collections(self._key_services[StoreIdKind.COLLECTIONS])

    @cached_property
    def purchase(self) -> Purchase:
        """Players' orders and subscriptions; its calls and the renewal of its keys share one budget."""
        return Purchase(self._key_services[StoreIdKind.PURCHASE])

    @cached_property
    def products(self) -> Products:
        """What players own, live from the Store."""
        return Products(self.current_keys, self.collections)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """What players subscribe to, live from the Store."""
        return Subscriptions(self.current_keys, self.purchase)

    @cached_property
    def subscription_changes(self) -> Changes:
        """Changes of subscriptions, each carried out once."""
        files = ChangeFiles(Table(self._account, SUBSCRIPTION_CHANGES_TABLE))
        return Changes(self.current_keys, self.purchase, self.subscriptions, files)

    @cached_property
    def free_products(self) -> FreeProducts:
        """Free products, each order granted once."""
        return FreeProducts(self.current_keys, self.purchase, GrantFiles(Table(self._account, FREE_PRODUCTS_TABLE)))

    @cached_property
    def ledger(self) -> Ledger:
        """Players' books."""
        books, order_lines = Table(self._account, LEDGER_TABLE), Table(self._account, ORDER_LINES_TABLE)
        return Ledger(books, order_lines, Events(self._events_queue))

    @cached_property
    def fulfillment_intake(self) -> FulfillmentIntake:
        """Fulfilments that come in."""
        queue = self._fulfillment_work_queue
        return FulfillmentIntake(self.ledger.files, self._files, self.fulfillment_worker, queue)

    @cached_property
    def fulfillment_worker(self) -> FulfillmentWorker:
        """Fulfilments that are carried out."""
        ledger, queue = self.ledger, self._fulfillment_work_queue
        return FulfillmentWorker(ledger.files, ledger.granting, self.current_keys, self.collections, queue)

    @cached_property
    def fulfillment_sweeper(self) -> FulfillmentSweeper:
        """Fulfilments, and events of the books, that nobody is on any more."""
        return FulfillmentSweeper(self.ledger.files, self.ledger.outbox, self._fulfillment_work_queue)

    @cached_property
    def refunds(self) -> Refunds:
        """Refunds, chargebacks and reversals that the Store tells of."""
        table, ledger, events = Table(self._account, REFUNDS_TABLE), self.ledger, Events(self._events_queue)
        books = RefundBooks(ledger, Reconsuming(ledger, Queue(self._account, FULFILLMENTS_QUEUE)))
        desk = Desk(
            self._refund_files, books, RefundedEntitlements(ledger, events), events, self.settings.store_sandbox
        )
        drain = Drain(self._clawback_queue, desk)
        return Refunds(drain, desk, self._refund_files, Leases(table, REFUND_RUN_DURATION))

    @cached_property
    def refund_list(self) -> RefundListing:
        """What became of them."""
        return RefundListing(self._refund_files)

    @cached_property
    def poison(self) -> Poison:
        """What was given up on."""
        return Poison(self._account, Table(self._account, POISON_TABLE), QUEUES)

    @cached_property
    def seat_intake(self) -> SeatIntake:
        """Seat jobs that come in."""
        return SeatIntake(
            self._tenants,
            self.business,
            self._free_seats,
            self._job_files,
            self._turns,
            self._seat_turns_queue,
            self.settings.seat_chunk_size,
        )

    @cached_property
    def seat_post(self) -> Post:
        """Seat jobs that come in over the queue."""
        return Post(self.seat_intake, Container(self._account, USER_LISTS), Queue(self._account, JOBS_QUEUE))

    @cached_property
    def seat_course(self) -> Course:
        """Seat jobs that are carried out."""
        settings = self.settings
        blocks_queue = Queue(self._account, BLOCKS_QUEUE)
        calls = SeatCalls(self.business, settings.seat_chunk_size, settings.store_concurrency)
        return Course(
            self._job_files,
            self._turns,
            Blocks(self._job_files, calls, blocks_queue, Shares()),
            Events(self._events_queue),
            self._seat_turns_queue,
            blocks_queue,
        )

    @cached_property
    def seat_results(self) -> Results:
        """What became of seat jobs."""
        return Results(self._job_files)

    @cached_property
    def seat_sweeper(self) -> SeatSweeper:
        """Seat jobs that nobody moves on."""
        return SeatSweeper(self._tenants, self._turns, self._seat_turns_queue)

    @cached_property
    def live_seats(self) -> LiveSeats:
        """Seats as the Store has them."""
        return LiveSeats(self.business)

    @cached_property
    def catalog_starting(self) -> Starting:
        """Passes over catalogues that are begun and looked at."""
        settings = self.settings
        languages = tuple(dict.fromkeys(settings.catalog_languages))
        basis = Basis(languages, with_packages=settings.catalog_download_packages)
        return Starting(self._shelf, self._landing, basis)

    @cached_property
    def catalog_working(self) -> Working:
        """Passes over catalogues that are carried out."""
        settings, shelf, landing = self.settings, self._shelf, self._landing
        fetching = Fetching(self._license_sealer)
        return Working(
            shelf,
            self.business,
            Listing(shelf, landing, Leases(shelf.table, LISTING_LEASE)),
            Pieces(shelf, landing, fetching, settings.store_concurrency),
            Missing(shelf, landing),
            Bringing(shelf, landing, Downloader(self._downloads, self._containers)),
            self._catalog_ending,
        )

    @cached_property
    def catalog_sweeper(self) -> Sweeper:
        """Passes over catalogues that nobody moves on."""
        return Sweeper(self._tenants, self._shelf, self.catalog_starting, self._catalog_ending)

    @cached_property
    def catalog_reading(self) -> Reading:
        """The catalogue for those who look at it."""
        return Reading(self._shelf, self._license_sealer, self._containers)

    def probes(self) -> dict[str, Probe]:
        """One probe for each dependency that these settings make us depend on."""
        keys, settings = self._issuer_keys, self.settings
        probes: dict[str, Probe] = {
            "storage-tables": self._store_ids_table.check,
            "storage-queues": self._renewals_queue.check,
            "key-vault": lambda: self._vault.get_secret(settings.store_id_data_key, fresh=True),
        }
        for issuer in settings.caller_issuers:
            probes[f"issuer {issuer.issuer}"] = partial(keys.check, issuer)
        if settings.publisher:
            probes["entra"] = partial(self.entra.check, settings.publisher)
            probes |= {f"store-{kind}": service.reach for kind, service in self._key_services.items()}
        if settings.business_tenants:
            probes["storage-blobs"] = self._containers[PACKAGES].check
            probes["store-business"] = self._business_probe.reach
        for identity in settings.business_tenants:
            probes[f"entra {identity.tenant_id}"] = partial(self.entra.check, identity)
        return probes

    async def close(self) -> None:
        """Give back all connections. Azure ends the process instead; tests and tools close."""
        parts: dict[str, AppIdentity | Vault | IssuerKeys | Account] = {
            name: part
            for name, part in vars(self).items()
            if isinstance(part, AppIdentity | Vault | IssuerKeys | Account)
        }
        for part in parts.values():
            await part.close()
        for name in ("_key_services", "_business_transports"):
            for service in vars(self).get(name, {}).values():
                await service.close()
        for name in ("_business_probe", "_downloads", "_clawback_queue"):
            if name in vars(self):
                await vars(self)[name].close()

    @cached_property
    def _app_identity(self) -> AppIdentity:
        return AppIdentity(self.settings)

    @cached_property
    def _storage_identity(self) -> AppIdentity:
        client_id = self.settings.storage.client_id
        return AppIdentity(self.settings, client_id=client_id) if client_id else self._app_identity

    @cached_property
    def _vault(self) -> Vault:
        return Vault(self.settings, self._app_identity)

    @cached_property
    def _issuer_keys(self) -> IssuerKeys:
        return IssuerKeys()

    @cached_property
    def _account(self) -> Account:
        return Account(self.settings.storage, self._storage_identity)

    @cached_property
    def _store_ids_table(self) -> Table:
        return Table(self._account, STORE_IDS_TABLE)

    @cached_property
    def _renewals_queue(self) -> Queue:
        return Queue(self._account, RENEWALS_QUEUE)

    @cached_property
    def _events_queue(self) -> Queue:
        return Queue(self._account, EVENTS_QUEUE)

    @cached_property
    def _business_stores(self) -> dict[str, BusinessStore]:
        return {}

    @cached_property
    def _business_transports(self) -> dict[str, Transport]:
        return {}

    @property
    def _tenants(self) -> list[str]:
        return [identity.tenant_id for identity in self.settings.business_tenants]

    @cached_property
    def _business_probe(self) -> Transport:
        return Transport(self.settings.store_business_url, 1)

    @cached_property
    def _downloads(self) -> Downloads:
        return Downloads(LARGE_AT_ONCE + SMALL_AT_ONCE)

    @cached_property
    def _containers(self) -> dict[str, Container]:
        return {name: Container(self._account, name) for name in (ARTWORK, PACKAGES)}

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(Table(self._account, CATALOG_TABLE))

    @cached_property
    def _landing(self) -> Landing:
        return Landing(
            self._shelf, {name: Queue(self._account, name) for name in (PASSES_QUEUE, PIECES_QUEUE, DOWNLOADS_QUEUE)}
        )

    @cached_property
    def _catalog_ending(self) -> Ending:
        return Ending(self._shelf, Events(self._events_queue))

    @cached_property
    def _license_sealer(self) -> LicenseSealer:
        return LicenseSealer(self._sealer)

    @cached_property
    def _seat_turns_queue(self) -> Queue:
        return Queue(self._account, TURNS_QUEUE)

    @cached_property
    def _job_files(self) -> JobFiles:
        return JobFiles(Table(self._account, SEAT_JOBS_TABLE))

    async def _free_seats(self, tenant_id: str, product: ProductKey) -> int | None:
        entry = await self.catalog_reading.entry(tenant_id, product)
        if entry is None or entry.distribution_policy != DistributionPolicy.RESTRICTED:
            return None
        return entry.available_seats

    @cached_property
    def _turns(self) -> Turns:
        return Turns(Table(self._account, SEAT_TURNS_TABLE))

    @cached_property
    def _refund_files(self) -> RefundFiles:
        return RefundFiles(Table(self._account, REFUNDS_TABLE))

    @cached_property
    def _clawback_queue(self) -> ClawbackQueue:
        return ClawbackQueue(Addresses(self.publisher, self.entra, self.purchase).find)

    @cached_property
    def _fulfillment_work_queue(self) -> Queue:
        return Queue(self._account, FULFILLMENT_WORK_QUEUE)

    @cached_property
    def _files(self) -> Files:
        return Files(self._store_ids_table)

    @cached_property
    def _sealer(self) -> Sealer:
        return Sealer(self._vault, self.settings.store_id_data_key)

    @cached_property
    def _key_sealer(self) -> KeySealer:
        return KeySealer(self._sealer)

    @cached_property
    def _key_services(self) -> dict[StoreIdKind, Transport]:
        settings = self.settings
        return {
            StoreIdKind.COLLECTIONS: Transport(settings.store_collections_url, settings.store_concurrency),
            StoreIdKind.PURCHASE: Transport(settings.store_purchase_url, settings.store_concurrency),
        }

    @cached_property
    def _key_service(self) -> KeyService:
        return KeyService(self._key_services)
