"""Builds what is deployed: ``python scripts/package.py`` writes ``dist/app`` and ``dist/storekeeper.zip``.

The app's own files, less what ``.funcignore`` names, and the pinned packages of ``requirements.txt``, as wheels for the
platform that Azure runs, whatever the machine this runs on. The same sources make the same bytes: entries are in order,
without dates, owners or a machine's paths.
"""

import argparse
import compileall
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

import pathspec

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ".python_packages/lib/site-packages"
"""Where the worker on Azure looks for packages that come with the app."""

LIMIT = 40 * 1024 * 1024
"""Bytes: every instance that starts loads the package, and a player waits for the first."""

# Flex Consumption: CPython 3.13 on Linux x86-64, with a glibc newer than all of these.
_TARGET = ["--implementation", "cp", "--python-version", "3.13", "--abi", "cp313", "--abi", "abi3", "--abi", "none"]
_PLATFORMS = ["manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "any"]
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644


def main() -> int:
    """The exit code: 1 where the package is larger than :data:`LIMIT`."""
    parser = argparse.ArgumentParser(description="Builds what is deployed.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    output = parser.parse_args().output.resolve()
    app, archive = output / "app", output / "storekeeper.zip"
    shutil.rmtree(app, ignore_errors=True)
    _copy_sources(app)
    _install_packages(app / PACKAGES)
    _compile(app)
    _write_zip(app, archive)
    size, digest = archive.stat().st_size, hashlib.sha256(archive.read_bytes()).hexdigest()
    print(f"{archive}: {size / 1024 / 1024:.1f} MiB of at most {LIMIT / 1024 / 1024:.0f}, sha256 {digest}")
    return 1 if size > LIMIT else 0


def sources() -> list[Path]:
    """The app's own files, relative to the project, in order."""
    ignored = pathspec.PathSpec.from_lines("gitwildmatch", (ROOT / ".funcignore").read_text("utf-8").splitlines())
    return sorted(Path(path) for path in ignored.match_tree_files(ROOT, negate=True, follow_links=False))


def _copy_sources(app: Path) -> None:
    for path in sources():
        target = app / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)


def _install_packages(target: Path) -> None:
    platforms = [option for name in _PLATFORMS for option in ("--platform", name)]
    options = ["--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "install", "-qq", *options, *_TARGET, *platforms]
    subprocess.run([*command, "--target", target, "--requirement", ROOT / "requirements.txt"], check=True)
    # Commands of the packages: nobody calls them there, and their first lines name this machine's Python.
    shutil.rmtree(target / "bin", ignore_errors=True)
    for record in target.glob("*.dist-info/RECORD"):
        lines = record.read_text("utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if not line.startswith("../../bin/")), "utf-8")


def _compile(app: Path) -> None:
    """Write the bytecode beside the sources, as Azure's Python reads it.

    Without, every instance compiles what it imports before its first answer: seconds, where reading takes a fraction of
    one. A worker that finds it writes none, and files that appear can have a host restart its worker. A date in it
    would be another at every build, and after unzipping not the source's: it is bound to no date, and never checked.
    """
    if not compileall.compile_dir(
        app, quiet=1, stripdir=str(app), workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    ):
        raise SystemExit("error: a source cannot be compiled")


def _write_zip(app: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as content:
        for file in sorted(path for path in app.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(app).as_posix(), _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = _MODE << 16
            content.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
