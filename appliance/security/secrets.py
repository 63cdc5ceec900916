"""Secrets on their way into the store and out of it: there they are sealed, each as the version that it is."""

from appliance.errors import NotFound
from appliance.model.secret import Secret, secret_ref
from appliance.security.sealing import Seal
from appliance.store import keys
from appliance.store.state import State


def sealed_secret(seal: Seal, service: str, name: str, version: int, text: str, author: str, now: str) -> Secret:
    sealed = seal.seal(text.encode(), secret_ref(service, name, version))
    return Secret(service=service, name=name, version=version, sealed=sealed, author=author, created_at=now)


def plain_text(state: State, seal: Seal, service: str, name: str, version: int) -> str:
    """Raises NotFound for a version that is not kept, ApplianceError for one that this key does not open."""
    secret = state.secrets.get(keys.secret_name(service, name, version))
    about = secret_ref(service, name, version)
    if secret is None:
        raise NotFound(
            f"There is no secret {about}.", next=f"appliance secret set {service}/{name}, then apply {service}"
        )
    return seal.unseal(secret.sealed, about).decode()
