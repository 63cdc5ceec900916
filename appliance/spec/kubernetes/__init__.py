"""Kubernetes manifests as service files."""
