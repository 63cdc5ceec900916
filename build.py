#!/usr/bin/env python3
"""Front door of the workshop. `./build.py build` makes dist/appliance; `./build.py --help` lists the rest."""

import argparse
import os
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from bundle import checks, neighbour, prerequisites, product  # noqa: E402
from bundle.workshop import ARCHITECTURES, CHECKOUT, BuildFailed, cache_root, native, remove  # noqa: E402


def main() -> int:
    options, rest = _parser().parse_known_args()
    if rest and options.command not in ("up", "test", "bench"):
        _parser().error(f"unknown: {' '.join(rest)}")
    try:
        status: int = options.run(options, rest)
    except BuildFailed as error:
        print(f"\nerror: {error}" + (f"\n  next: {error.next}" if error.next else ""), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="build.py", description="Builds, runs and tests the appliance.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, run: object) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        sub.add_argument("--install-deps", action="store_true", help="install missing Debian packages (as root)")
        sub.add_argument("--mirror", metavar="URL", help="Debian mirror to use instead of this machine's own")
        return sub

    build = command("build", "make dist/appliance", _build)
    build.add_argument("--arch", choices=sorted(ARCHITECTURES), help="architecture to build for (default: this one)")
    build.add_argument("--locked", action="store_true", help="refuse where a locked version is no longer to be had")
    build.add_argument("--add-image", metavar="FILE.tar", type=Path, action="append", help="carry images of an archive")
    build.add_argument("--release", metavar="N", type=int, help="as release N: dist/appliance-release-N")
    command("up", "build, then start a cluster on this machine: dist/appliance up --yes ...", _up)
    command("lock", "renew all locks with the current versions", _lock)
    test = command("test", "linter, types and all tests; further words go to one run of pytest instead", _test)
    test.add_argument("--workers", metavar="N", type=int, default=checks.WORKERS, help="test files run at a time")
    command("bench", "print the measurements; further words go to tests.bench", _bench)
    clean = command("clean", "remove dist/", _clean)
    clean.add_argument("--cache", action="store_true", help="remove the cache as well")
    return parser


def _build(options: argparse.Namespace, _: list[str]) -> int:
    prerequisites.require(prerequisites.BUILD, install=options.install_deps)
    if options.release is not None:
        print(neighbour.build(options.release, mirror=options.mirror, strict=options.locked))
        return 0
    architecture = ARCHITECTURES[options.arch] if options.arch else native()
    added = tuple(options.add_image or ())
    product.build(product.Order(architecture, mirror=options.mirror, strict=options.locked, added=added))
    return 0


def _up(options: argparse.Namespace, rest: list[str]) -> int:
    package = _own_package(options, install=options.install_deps or os.geteuid() == 0)
    os.execv(package, [str(package), "up", "--yes", *rest])


def _own_package(options: argparse.Namespace, *, install: bool) -> Path:
    prerequisites.require(prerequisites.BUILD, install=install)
    return product.build(product.Order(native(), mirror=options.mirror))


def _lock(options: argparse.Namespace, _: list[str]) -> int:
    prerequisites.require(prerequisites.BUILD, install=options.install_deps)
    product.renew_locks(options.mirror)
    return 0


def _test(options: argparse.Namespace, rest: list[str]) -> int:
    install = options.install_deps or os.geteuid() == 0
    prerequisites.require((*prerequisites.BUILD, *prerequisites.TEST), install=install)
    package = _own_package(options, install=install)
    if not rest:
        neighbour.build(product.release()[1] + 1, mirror=options.mirror)
    workshop, _, _ = product.open_workshop(mirror=options.mirror, strict=False)
    return checks.check(workshop, package, rest, options.workers)


def _bench(options: argparse.Namespace, rest: list[str]) -> int:
    install = options.install_deps or os.geteuid() == 0
    prerequisites.require((*prerequisites.BUILD, *prerequisites.TEST), install=install)
    package = _own_package(options, install=install)
    workshop, _, _ = product.open_workshop(mirror=options.mirror, strict=False)
    return checks.bench(workshop, package, rest)


def _clean(options: argparse.Namespace, _: list[str]) -> int:
    remove(product.DIST)
    if options.cache and cache_root().exists():
        shutil.rmtree(cache_root())
    for folder in (".mypy_cache", ".ruff_cache", ".pytest_cache"):
        remove(CHECKOUT / folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
