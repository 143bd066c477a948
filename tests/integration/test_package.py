"""What is deployed, and nothing beside it: the app runs from the unpacked zip alone, in a host that sees no more."""

import ast
import asyncio
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import processes
from local.control import Control
from local.stack import Servers
from tests.support.app import QUIET, App, Headers, Storage, unique
from tests.support.polling import eventually

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(".python_packages/lib/site-packages")
LIMIT = 40 * 1024 * 1024
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of bytecode that is bound to a source by its hash, and never compared with it (PEP 552)."""

NOT_CLONED = (".git", ".venv", "node_modules", ".local", "dist", ".*_cache", ".hypothesis", "__pycache__")

# What the local host needs beyond what the app needs.
OF_THE_HOST = ("croniter", "dateutil")


@dataclass(frozen=True)
class Package:
    """The zip, and where it was unpacked."""

    archive: Path
    app: Path


def build(sources: Path, folder: Path) -> Path:
    """What ``make package`` builds of ``sources``."""
    command = [sys.executable, str(sources / "scripts" / "package.py"), "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "storekeeper.zip"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a fresh clone has it, where nobody changes it meanwhile."""
    clone = tmp_path_factory.mktemp("clone") / "storekeeper"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_CLONED))
    return clone


@pytest.fixture(scope="module")
def package(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The package, unpacked where there is nothing else."""
    archive, app = build(sources, tmp_path_factory.mktemp("dist")), tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as content:
        content.extractall(app)
    return Package(archive, app)


@pytest.fixture(scope="module")
async def deployed(stack: Servers, package: Package, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """The app out of the zip, in a local host that can import neither the project nor its ``.venv``."""
    host = tmp_path_factory.mktemp("host")
    (host / "local").symlink_to(ROOT / "local")
    for name in OF_THE_HOST:
        module = __import__(name)
        (host / name).symlink_to(Path(str(module.__file__)).parent)
    settings = await stack.write_settings(QUIET | {"SWEEP_SCHEDULE": "0 0 0 1 1 *"}, name="package")
    # Without site-packages (-S), the zip's own are the only ones; the working directory comes first on the path.
    interpreter = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    command = [interpreter, "-S", "-m", "local.host", "--settings", str(settings), "--app", str(package.app)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(package.app / PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"}
    server = await processes.start("package", command, log=stack.folder / "package.log", env=environment, cwd=host)
    async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=60) as http:
        yield App(server, http, stack.control)
    await server.terminate()


@pytest.fixture
async def operator(deployed: App) -> Headers:
    """Who runs the store."""
    return await deployed.operator()


class TestContents:
    """What is in the zip."""

    def test_it_is_small(self, package: Package) -> None:
        assert 1024 * 1024 < package.archive.stat().st_size < LIMIT

    def test_it_has_the_app_and_its_packages_and_nothing_of_a_developer(self, package: Package) -> None:
        there = {path.name for path in package.app.iterdir()} - {"__pycache__"}

        assert there == {"function_app.py", "functions", "host.json", "requirements.txt", "shared", PACKAGES.parts[0]}

    def test_it_has_every_file_of_the_app(self, package: Package, sources: Path) -> None:
        files = {path.relative_to(sources) for name in ("functions", "shared") for path in (sources / name).rglob("*")}

        assert len(files) > 50
        assert {path for path in files if not (package.app / path).exists()} == set()

    def test_it_has_the_bytecode_of_every_source_and_no_date_can_make_it_stale(self, package: Package) -> None:
        sources = list(package.app.rglob("*.py"))
        compiled = {source: Path(cache_from_source(source)) for source in sources}

        assert len(sources) > 500
        assert [source for source, bytecode in compiled.items() if not bytecode.exists()] == []
        heads = {bytecode.read_bytes()[:8] for bytecode in compiled.values()}
        assert heads == {MAGIC_NUMBER + UNCHECKED_HASH}

    def test_its_packages_are_those_that_are_pinned(self, package: Package) -> None:
        pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
        found = dict(
            folder.name.removesuffix(".dist-info").split("-", 1)
            for folder in (package.app / PACKAGES).glob("*.dist-info")
        )

        assert {plain(name): version for name, version in found.items()} == {
            plain(name): version for name, version in pinned.items()
        }

    def test_no_machine_is_named(self, package: Package) -> None:
        folders = (str(ROOT).encode(), str(Path.home()).encode() + b"/", str(package.archive.parent).encode())
        texts = [file for file in (package.app / PACKAGES).glob("*.dist-info/*") if file.is_file()]
        texts += package.app.rglob("*.pyc")

        assert [file for file in texts if any(folder in file.read_bytes() for folder in folders)] == []
        assert not (package.app / PACKAGES / "bin").exists()

    def test_the_same_files_make_the_same_bytes(self, package: Package, sources: Path, tmp_path: Path) -> None:
        again = build(sources, tmp_path)

        assert checksums(again) == checksums(package.archive)
        assert digest(again.read_bytes()) == digest(package.archive.read_bytes())

    def test_what_is_imported_is_in_it(self, package: Package) -> None:
        own = {path.stem for path in package.app.iterdir()}
        packages = {path.name.partition(".")[0] for path in (package.app / PACKAGES).iterdir()}
        wanted = {name for file in deployed_sources(package.app) for name in imports(file)}

        assert wanted & {"local", "tests", "benchmarks", "scripts", "infra"} == set()
        assert wanted - own - packages - set(sys.stdlib_module_names) == set()


class TestRun:
    """A shortened guided run."""

    async def test_it_is_ready(self, deployed: App, operator: Headers) -> None:
        answer = await deployed.http.get("/health/ready", headers=operator)

        assert answer.status_code == 200, answer.text

    async def test_the_hook_of_azd_sees_that_it_is_ready(self, deployed: App, operator: Headers) -> None:
        token = operator["Authorization"].removeprefix("Bearer ")

        right, wrong = await asyncio.gather(*(asyncio.to_thread(after_deploy, deployed, each) for each in (token, "x")))

        assert (right.returncode, wrong.returncode) == (0, 1), right.stdout + right.stderr
        assert "key-vault" in right.stdout
        assert token not in right.stdout + right.stderr

    async def test_a_game_gets_a_token_and_hands_in_a_key_that_is_renewed(
        self, deployed: App, control: Control
    ) -> None:
        name = unique()
        player = await deployed.player(name)

        token = await deployed.http.post("/tokens/purchase", headers=player)
        key = await control.store_id("purchase", name, issuedDaysAgo=20)
        first = await deployed.keep(player, "purchase", key)
        await deployed.run_timer()

        assert token.status_code == 200
        assert token.json()["accessToken"]

        async def renewed() -> bool:
            return bool((await deployed.kept(player))["purchase"]["issuedOn"] > first["issuedOn"])

        await eventually(renewed)

    async def test_a_catalogue_is_synced_and_seats_are_assigned(
        self, deployed: App, control: Control, operator: Headers, storage: Storage
    ) -> None:
        tenant = (await control.business_tenants())[-1]
        (key,) = await control.add_business_products(tenant["tenantId"], 1, licenseType="online", images=False)
        users = [f"user-{number}@{tenant['domain']}" for number in range(30)]

        begun = await deployed.http.post("/catalog/syncs", headers=operator, json={"tenantId": tenant["tenantId"]})
        assert begun.status_code == 202, begun.text
        synced = await self.ended(deployed, operator, begun.headers["Location"])
        job = {"tenantId": tenant["tenantId"], **key, "action": "assign", "users": users}
        taken = await deployed.http.post("/seat-jobs", headers=operator, json=job)
        assert taken.status_code == 202, taken.text
        assigned = await self.ended(deployed, operator, taken.headers["Location"])

        assert (synced["status"], assigned["status"]) == ("completed", "completed")
        assert assigned["succeeded"] == len(users)
        assert await storage.rows("seatjobs", f"PartitionKey eq '{assigned['jobId']}'")

    async def ended(self, deployed: App, operator: Headers, location: str) -> dict[str, Any]:
        """What is shown at a place once it is no longer under way."""

        async def over() -> dict[str, Any] | None:
            answer = await deployed.http.get(location.removeprefix("/api"), headers=operator)
            assert answer.status_code == 200, answer.text
            shown: dict[str, Any] = answer.json()
            return None if shown["status"] in {"queued", "running"} else shown

        return await eventually(over, 60)


def after_deploy(deployed: App, token: str) -> subprocess.CompletedProcess[str]:
    """What azd runs once the app is deployed."""
    environment = {"PATH": "/usr/bin", "APP_URL": deployed.server.url, "OPERATOR_TOKEN": token}
    command = [sys.executable, str(ROOT / "infra" / "hooks" / "after_deploy.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def plain(name: str) -> str:
    """A package's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def checksums(archive: Path) -> dict[str, int]:
    """The CRC of each entry."""
    with zipfile.ZipFile(archive) as content:
        return {entry.filename: entry.CRC for entry in content.infolist()}


def deployed_sources(app: Path) -> Iterator[Path]:
    """The app's own modules."""
    yield app / "function_app.py"
    for name in ("functions", "shared"):
        yield from (app / name).rglob("*.py")


def imports(file: Path) -> set[str]:
    """The first names of what a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.partition(".")[0])
    return found
