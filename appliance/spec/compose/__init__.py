"""Compose files (https://github.com/compose-spec/compose-spec) as service files."""
