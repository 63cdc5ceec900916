"""The layout of the store: which kind of value lies under which key, and who writes it.

/appliance/cluster                                 Cluster          `up`, once
/appliance/leader                                  manager's id     election
/appliance/users/NAME                              User             API
/appliance/tokens/ID                               JoinToken        API
/appliance/images/REFERENCE                        Image            API
/appliance/nodes/ID                                NodeSpec         API (join, label, cordon)
/appliance/services/NAME                           ServiceHead      API
/appliance/revisions/SERVICE/NUMBER                Revision         API
/appliance/instances/SERVICE/DEPLOY-INDEX          Instance         orchestrator
/appliance/bindings/SERVICE/DEPLOY-INDEX           Binding          scheduler
/appliance/refusals/SERVICE/DEPLOY-INDEX           Refusal          scheduler
/appliance/status/nodes/ID                         NodeStatus       the manager with the node's link
/appliance/status/instances/SERVICE/DEPLOY-INDEX   InstanceStatus   the manager with the node's link
"""

ROOT = "/appliance/"
CLUSTER = ROOT + "cluster"
LEADER = ROOT + "leader"
USERS = ROOT + "users/"
TOKENS = ROOT + "tokens/"
IMAGES = ROOT + "images/"
NUMBERS = ROOT + "numbers/"
NODES = ROOT + "nodes/"
SERVICES = ROOT + "services/"
REVISIONS = ROOT + "revisions/"
INSTANCES = ROOT + "instances/"
BINDINGS = ROOT + "bindings/"
REFUSALS = ROOT + "refusals/"
NODE_STATUS = ROOT + "status/nodes/"
INSTANCE_STATUS = ROOT + "status/instances/"


def revision_key(service: str, number: int) -> str:
    """Zero-padded, so that the store's key order is the order of revisions."""
    return f"{REVISIONS}{service}/{number:08d}"
