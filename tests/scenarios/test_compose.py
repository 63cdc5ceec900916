"""An ordinary Compose file, applied as it is; manifests, converted and applied."""

from pathlib import Path

from tests.lab.cluster import Cluster

COMPOSE = """
name: guestbook
services:
  store:
    image: appliance/busybox
    command: ["sh", "-c", "mkdir /www && echo ${GREETING:-hello} > /www/index.html && exec httpd -f -p 8080 -h /www"]
    expose: ["8080"]
    healthcheck: {test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://localhost:8080/"], interval: 1s}
  seed:
    image: appliance/busybox
    command: ["sh", "-c", "echo seeding"]
    depends_on: {store: {condition: service_healthy}}
    restart: "no"
  web:
    image: appliance/busybox
    command: ["sh", "-c", "while :; do wget -q -O /data/answer $$STORE; sleep 1; done"]
    environment: {STORE: "http://store:8080/"}
    volumes: ["data:/data"]
    depends_on:
      store: {condition: service_healthy}
      seed: {condition: service_completed_successfully}
    deploy: {replicas: 1}
volumes:
  data: {}
"""
MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data: {index.html: "from a manifest"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: page}
spec:
  replicas: 2
  selector: {matchLabels: {app: page}}
  template:
    metadata: {labels: {app: page}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: appliance/busybox
          command: [httpd, -f, -p, "8080", -h, /www]
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /index.html, port: http}, periodSeconds: 1}
          volumeMounts: [{name: page, mountPath: /www}]
      volumes:
        - {name: page, configMap: {name: page}}
---
apiVersion: v1
kind: Service
metadata: {name: page}
spec: {selector: {app: page}, ports: [{port: 8080, targetPort: http}]}
"""


def put(cluster: Cluster, name: str, text: str) -> Path:
    """A file on the manager, by the path that the product sees."""
    (cluster.manager.data / name).write_text(text)
    return cluster.manager.root / name


def test_a_compose_file_runs_as_it_is(one_node: Cluster) -> None:
    file = put(one_node, "compose.yaml", COMPOSE)
    one_node.manager.appliance("apply", file, "--wait", timeout=120)
    (job,) = one_node.manager.ask("job", "ls", "guestbook")
    assert [run["outcome"] for run in job["runs"]] == ["succeeded"]
    web = next(row["instance"] for row in one_node.ps("guestbook") if row["deploy"] == "web")
    assert one_node.manager.appliance("exec", web, "--", "cat", "/data/answer").stdout == "hello\n"
    unchanged = one_node.manager.appliance("diff", file)
    assert "nothing" in (unchanged.stdout + unchanged.stderr).lower()
    one_node.delete("guestbook")


def test_what_compose_asks_for_and_we_do_not_have_is_named_and_nothing_is_done(one_node: Cluster) -> None:
    file = put(one_node, "odd.yaml", COMPOSE.replace('restart: "no"', 'restart: "no"\n    pid: host'))
    refused = one_node.manager.appliance("apply", file, check=False)
    assert refused.returncode == 3
    assert "pid" in refused.stderr
    assert one_node.manager.appliance("ps", "guestbook", check=False).returncode == 1


def test_manifests_become_a_service_that_runs(one_node: Cluster) -> None:
    name = "moved"
    file = put(one_node, "manifests.yaml", MANIFESTS)
    made = one_node.manager.appliance("convert", file, "--name", name).stdout
    one_node.apply(made)
    rows = one_node.ps(name)
    assert [row["ready"] for row in rows] == [True, True]
    page = one_node.manager.appliance("exec", rows[0]["instance"], "--", "wget", "-q", "-O", "-", "localhost:8080/")
    assert page.stdout == "from a manifest"
    one_node.delete(name)
