"""Images that were loaded into the cluster's registry: what specs may name besides the bundle's."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.errors import NotFound, Refused
from appliance.model.cluster import Image
from appliance.model.definition import images_of


def routes(context: Context) -> list[Route]:
    images = context.state.images

    def register(call: Call) -> object:
        image = call.data(Image)
        context.commit([images.put(image.reference, image)], [images.unchanged(image.reference)])
        return msgspec.to_builtins(image)

    def listing(_: Call) -> object:
        own = [{"reference": reference, "bundled": True} for reference in sorted(context.bundle_images)]
        return own + [{**msgspec.to_builtins(image), "bundled": False} for image in images.all().values()]

    def remove(call: Call) -> object:
        return forget(context, call.path["reference"])

    return [
        Route(
            "POST",
            "/api/images",
            register,
            summary="Tell of an image whose layers are in the registry",
            body=Image,
            answers=Image,
        ),
        Route("GET", "/api/images", listing, summary="All images"),
        Route("DELETE", "/api/images/<reference:path>", remove, summary="Forget an image"),
    ]


def forget(context: Context, reference: str) -> dict[str, object]:
    """Refused while a service's current revision names the image."""
    images = context.state.images
    if images.get(reference) is None:
        raise NotFound(f"There is no loaded image called {reference}.", next="see: appliance image ls")
    users = services_using(context, reference)
    if users:
        raise Refused(f"{reference} is used by {', '.join(users)}.", next="delete or change these services first")
    context.commit([images.delete(reference)], [images.unchanged(reference)])
    return {"reference": reference, "removed": True}


def services_using(context: Context, reference: str) -> list[str]:
    found = []
    for name, head in context.state.services.all().items():
        revision = context.state.revision(name, head.revision)
        if revision is not None and reference in images_of(revision.spec):
            found.append(name)
    return found
