"""The cluster as a whole: is it well, what is there, and why is something not as wished."""

from appliance.api.call import Answer, Call, Route
from appliance.api.certificates import certificate_rows, certificate_summary
from appliance.api.complaints import with_complaints
from appliance.api.context import Context
from appliance.api.rows import cluster_status, instance_rows, store_trouble
from appliance.api.store_care import store_row
from appliance.api.why import Explanation, explain
from appliance.errors import NotFound


def routes(context: Context) -> list[Route]:
    def status(_: Call) -> object:
        trouble = store_trouble(context.store)
        etcd = dict.fromkeys(context.etcd_states(), trouble) if trouble else context.etcd_states()
        shown = cluster_status(context.state, context.version, context.leader(), etcd, context.clocks.of)
        rows = certificate_rows(context.state, context.ca_pem(), context.clock())
        return {**shown, "certificates": certificate_summary(rows), "store": store_row(context.caretaker)}

    def instances(call: Call) -> object:
        service = call.query.get("service", "")
        if service and service != "system" and context.state.services.get(service) is None:
            raise NotFound(f"There is no service called {service}.", next="see: appliance ps")
        return instance_rows(context.state, service)

    def health(_: Call) -> object:
        return {"state": "up", "version": context.version, "revision": context.state.copy.revision}

    def authority(_: Call) -> object:
        return Answer(context.ca_pem(), content_type="application/x-pem-file")

    def why(call: Call) -> object:
        return with_complaints(context, explain(context.state, call.path["thing"]))

    return [
        Route("GET", "/api/status", status, summary="The cluster, its managers and nodes"),
        Route("GET", "/api/ps", instances, summary="Instances of one service or of all"),
        Route("GET", "/api/health", health, public=True, summary="Whether this manager answers"),
        Route("GET", "/api/ca", authority, public=True, summary="The certificate of the cluster's authority (PEM)"),
        Route("GET", "/api/why/<thing:path>", why, summary="Why something is as it is", answers=Explanation),
    ]
