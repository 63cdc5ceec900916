"""A private cloud in one file, for servers without internet."""

VERSION = "0.1.0"
"""Version of this release; a semantic version."""

RELEASE_COUNTER = 1
"""Rises by one with every release; an upgrade refuses a package whose counter is lower than the installed one."""
