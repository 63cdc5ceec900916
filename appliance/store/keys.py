"""The layout of the store: which kind of value lies under which key, and who writes it.

/appliance/cluster                                 Cluster          `up`, once
/appliance/leader                                  manager's id     election
/appliance/alive/ID                                Alive            the manager itself, by a lease
/appliance/compacted                               a revision       the leader (store care)
/appliance/users/NAME                              User             API
/appliance/sessions/HASH                           LoginSession     API, by a lease
/appliance/tokens/ID                               JoinToken        API
/appliance/images/REFERENCE                        Image            API
/appliance/nodes/ID                                NodeSpec         API (join, label, cordon)
/appliance/services/NAME                           ServiceHead      API
/appliance/revisions/SERVICE/NUMBER                Revision         API (removed by the orchestrator)
/appliance/secrets/SERVICE/NAME/VERSION            Secret           API (removed by the orchestrator)
/appliance/rollouts/SERVICE                        Rollout          orchestrator
/appliance/outcomes/SERVICE/NUMBER                 Rollout          orchestrator (of each revision, once it has ended)
/appliance/autoscale/SERVICE/DEPLOY                Autoscaled       orchestrator
/appliance/certificates/HOST                       IssuedCertificate  the leader
/appliance/virtual/SERVICE/DEPLOY                   VirtualAddress   orchestrator
/appliance/rotation                                Rotation         API, the leader
/appliance/revoked/FINGERPRINT                     RevokedKey       API
/appliance/vips/ADDRESS                            Vip              API
/appliance/jobs/SERVICE/JOB                        JobState         orchestrator
/appliance/runs/SERVICE/JOB/NUMBER                 JobRun           orchestrator
/appliance/instances/SERVICE/DEPLOY-INDEX          Instance         orchestrator
/appliance/bindings/SERVICE/DEPLOY-INDEX           Binding          scheduler
/appliance/refusals/SERVICE/DEPLOY-INDEX           Refusal          scheduler
/appliance/status/nodes/ID                         NodeStatus       the manager that the node follows
/appliance/status/instances/SERVICE/DEPLOY-INDEX   InstanceStatus   the manager that the node follows
/appliance/status/certificates/NODE/USE            HeldCertificate  the manager that issued it
/appliance/diaries/ID                              NodeDiary        the manager with the node's link
/appliance/status/trust/NODE                       NodeTrust        any manager with the node's link
/appliance/status/authorities/NODE                 ManagerTrust     that manager
/appliance/status/vips/ADDRESS                     VipStatus        the leading manager
/appliance/backup-plan                             BackupPlan       API
/appliance/status/backups/ID                       BackupStatus     the manager with this node's id
"""

ROOT = "/appliance/"
CLUSTER = ROOT + "cluster"
COMPACTED = ROOT + "compacted"
LEADER = ROOT + "leader"
ALIVE = ROOT + "alive/"
USERS = ROOT + "users/"
SESSIONS = ROOT + "sessions/"
TOKENS = ROOT + "tokens/"
IMAGES = ROOT + "images/"
NUMBERS = ROOT + "numbers/"
ROUTERS = ROOT + "routers/"
NODES = ROOT + "nodes/"
SERVICES = ROOT + "services/"
REVISIONS = ROOT + "revisions/"
SECRETS = ROOT + "secrets/"
ROLLOUTS = ROOT + "rollouts/"
OUTCOMES = ROOT + "outcomes/"
AUTOSCALE = ROOT + "autoscale/"
CERTIFICATES = ROOT + "certificates/"
VIRTUAL = ROOT + "virtual/"
ROTATION = ROOT + "rotation"
REVOKED = ROOT + "revoked/"
VIPS = ROOT + "vips/"
JOBS = ROOT + "jobs/"
RUNS = ROOT + "runs/"
INSTANCES = ROOT + "instances/"
BINDINGS = ROOT + "bindings/"
REFUSALS = ROOT + "refusals/"
NODE_STATUS = ROOT + "status/nodes/"
INSTANCE_STATUS = ROOT + "status/instances/"
NODE_TRUST = ROOT + "status/trust/"
MANAGER_TRUST = ROOT + "status/authorities/"
HELD = ROOT + "status/certificates/"
DIARIES = ROOT + "diaries/"
VIP_STATUS = ROOT + "status/vips/"
BACKUP_PLAN = ROOT + "backup-plan"
BACKUP_STATUS = ROOT + "status/backups/"

LEASED = (LEADER, ALIVE, SESSIONS)
"""What vanishes with whoever wrote it, or with time."""


def revision_key(service: str, number: int) -> str:
    return REVISIONS + revision_name(service, number)


def revision_name(service: str, number: int) -> str:
    """Within the tables of revisions and of outcomes. Zero-padded, so that the order of keys is that of revisions."""
    return f"{service}/{number:08d}"


def secret_name(service: str, name: str, version: int) -> str:
    """Within the table of secrets; versions in the order of keys."""
    return f"{service}/{name}/{version:08d}"


def run_name(service: str, job: str, number: int) -> str:
    """Within the table of runs; runs in the order of keys."""
    return f"{service}/{job}/{number:08d}"
