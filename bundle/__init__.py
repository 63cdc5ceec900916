"""The workshop: everything that happens at build time. Nothing here is in the package.

Runs under the Python of the build machine (3.11 or newer) with nothing but the standard library; whatever else a
build needs is fetched by hash, see `docs/build.md`.
"""
