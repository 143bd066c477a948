"""The catalogue of each tenant."""

from functools import cached_property

from shared.catalog.basis import Basis
from shared.catalog.bringing import Bringing
from shared.catalog.downloader import LARGE_AT_ONCE, SMALL_AT_ONCE, Downloader
from shared.catalog.ending import Ending
from shared.catalog.fetching import Fetching
from shared.catalog.files import ARTWORK, PACKAGES
from shared.catalog.landing import Landing
from shared.catalog.licensing import LicenseSealer
from shared.catalog.listing import LEASE_DURATION, Listing
from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE
from shared.catalog.missing import Missing
from shared.catalog.pieces import Pieces
from shared.catalog.reading import Reading
from shared.catalog.shelf import Shelf
from shared.catalog.starting import Starting
from shared.catalog.sweeping import Sweeper
from shared.catalog.working import Working
from shared.storage.blobs import Container
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.downloads import Downloads
from shared.wiring.core import Core
from shared.wiring.store import StoreParts

TABLE = "catalog"


class CatalogParts:
    """Passes that are begun, carried out and found again; the catalogue for those who look at it."""

    def __init__(self, core: Core, store: StoreParts) -> None:
        self._core = core
        self._store = store

    @cached_property
    def starting(self) -> Starting:
        """Passes that are begun and looked at."""
        settings = self._core.settings
        languages = tuple(dict.fromkeys(settings.catalog_languages))
        basis = Basis(languages, with_packages=settings.catalog_download_packages)
        return Starting(self._shelf, self._landing, basis)

    @cached_property
    def working(self) -> Working:
        """Passes that are carried out."""
        shelf, landing = self._shelf, self._landing
        downloads = self._core.closing(Downloads(LARGE_AT_ONCE + SMALL_AT_ONCE))
        return Working(
            shelf,
            landing,
            self._store.business,
            Listing(shelf, landing, Leases(shelf.table, LEASE_DURATION)),
            Pieces(shelf, landing, Fetching(self.license_sealer), self._core.settings.store_concurrency),
            Missing(shelf, landing),
            Bringing(shelf, landing, Downloader(downloads, self.containers)),
            self._ending,
        )

    @cached_property
    def sweeper(self) -> Sweeper:
        """Passes that nobody moves on."""
        return Sweeper(self._core.tenants, self._shelf, self.starting, self._ending)

    @cached_property
    def reading(self) -> Reading:
        """The catalogue for those who look at it."""
        return Reading(self._shelf, self.license_sealer, self.containers)

    @cached_property
    def containers(self) -> dict[str, Container]:
        """Where artwork and packages are kept."""
        return {name: Container(self._core.account, name) for name in (ARTWORK, PACKAGES)}

    @cached_property
    def license_sealer(self) -> LicenseSealer:
        """How offline licenses are kept."""
        return LicenseSealer(self._core.sealer)

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(Table(self._core.account, TABLE))

    @cached_property
    def _landing(self) -> Landing:
        queues = (PASSES_QUEUE, PIECES_QUEUE, DOWNLOADS_QUEUE)
        return Landing(self._shelf, {name: Queue(self._core.account, name) for name in queues})

    @cached_property
    def _ending(self) -> Ending:
        return Ending(self._shelf, self._core.events)
