"""The Helm chart: what it renders is what Kubernetes' API takes, and says what it should."""

import json
import re
import subprocess

import pytest

from kit.client import Http
from kit.server import ROOT, run_tael

CHART = ROOT / "deploy" / "helm" / "tael"
CLOUDS = ("aws", "azure", "gcp")
SPLIT = "values-split.yaml"
SETUPS = {
    "default": (),
    "split": (SPLIT,),
    **{cloud: (f"values-{cloud}.yaml",) for cloud in CLOUDS},
    **{f"split-{cloud}": (SPLIT, f"values-{cloud}.yaml") for cloud in CLOUDS},
}
EVERYTHING = ("monitoring.serviceMonitor.enabled=true", "monitoring.prometheusRule.enabled=true",
              "monitoring.dashboard.enabled=true")


def template(helm, files=(), settings=(), good=True):
    argv = [helm, "template", "tael", CHART, "--kube-version", "1.30.0", "--namespace", "pay"]
    for file in files:
        argv += ["-f", CHART / file]
    for setting in settings:
        argv += ["--set", setting]
    result = subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                            timeout=120, check=False)
    if not good:
        assert result.returncode != 0
        return result.stderr
    assert result.returncode == 0, result.stderr
    return result.stdout


def decode(manifests, text):
    return subprocess.run([str(manifests)], input=text, capture_output=True, text=True, timeout=60,
                          check=False)


def documents(text):
    return [part for part in re.split(r"^---\n", text, flags=re.MULTILINE) if "kind:" in part]


def of_kind(text, kind):
    return [part for part in documents(text) if re.search(rf"^kind: {kind}$", part, re.MULTILINE)]


@pytest.mark.parametrize("setup", SETUPS)
def test_lint(helm, setup):
    argv = [str(helm), "lint", "--strict", str(CHART), "--kube-version", "1.30.0"]
    for file in SETUPS[setup]:
        argv += ["-f", str(CHART / file)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("setup", SETUPS)
def test_kubernetes_takes_every_field(helm, manifests, setup):
    text = template(helm, SETUPS[setup], EVERYTHING)
    result = decode(manifests, text)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(documents(text))


def test_a_wrong_field_is_found(helm, manifests):
    text = template(helm)
    for right, wrong in (("livenessProbe:", "livenesProbe:"), ("maxUnavailable: 1", "maxUnavailabel: 1"),
                         ("replicas: 1", 'replicas: "one"')):
        assert right in text
        result = decode(manifests, text.replace(right, wrong))
        assert result.returncode == 1 and result.stderr, wrong


def test_everything_on_one_volume(helm):
    text = template(helm)
    assert len(of_kind(text, "StatefulSet")) == 1 and not of_kind(text, "Deployment")
    assert "accessModes: [ReadWriteOncePod]" in text and "storage: 20Gi" in text
    assert not of_kind(text, "HorizontalPodAutoscaler")


def test_split_scales_what_keeps_nothing(helm):
    text = template(helm, SETUPS["split"])
    names = {kind: sorted(re.findall(r"^  name: (\S+)$", "".join(of_kind(text, kind)), re.MULTILINE))
             for kind in ("Deployment", "StatefulSet", "HorizontalPodAutoscaler",
                          "PodDisruptionBudget")}
    assert names["Deployment"] == names["HorizontalPodAutoscaler"] == ["tael-api", "tael-cards"]
    assert names["StatefulSet"] == ["tael-ledger", "tael-vault"]
    assert names["PodDisruptionBudget"] == ["tael-api", "tael-cards", "tael-ledger", "tael-vault"]
    for part in of_kind(text, "HorizontalPodAutoscaler"):
        assert "stabilizationWindowSeconds: 300" in part
    for part in of_kind(text, "Deployment"):
        assert "replicas:" not in part  # the autoscaler's


@pytest.mark.parametrize("setup", SETUPS)
def test_no_pod_has_rights(helm, setup):
    text = template(helm, SETUPS[setup])
    pods = of_kind(text, "StatefulSet") + of_kind(text, "Deployment")
    assert pods
    for pod in pods:
        for line in ("runAsNonRoot: true", "runAsUser: 65532", "readOnlyRootFilesystem: true",
                     "allowPrivilegeEscalation: false", "capabilities: {drop: [ALL]}",
                     "seccompProfile: {type: RuntimeDefault}", "automountServiceAccountToken: false",
                     "enableServiceLinks: false", "httpGet: {path: /startupz, port: admin}",
                     "httpGet: {path: /readyz, port: admin}", "httpGet: {path: /livez, port: admin}",
                     "topologyKey: topology.kubernetes.io/zone"):
            assert line in pod, line
        memory = re.findall(r"memory: (\S+)", pod)
        assert len(set(memory)) == 1 and len(memory) == 2  # what is asked for is the limit
        assert not re.search(r"secretKeyRef|secretRef", pod)  # secrets are files
        grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", pod).group(1))
        delay, drain = (int(re.search(rf'name: TAEL_DRAIN_{name}\n *value: "(\d+)s"', pod).group(1))
                        for name in ("DELAY", "TIMEOUT"))
        assert delay + drain < grace


def flows(text, process):
    return next(part for part in of_kind(text, "NetworkPolicy")
                if f"name: tael-{process}-flows" in part)


def test_only_named_flows(helm):
    text = template(helm, SETUPS["split"])
    deny = next(part for part in of_kind(text, "NetworkPolicy") if "name: tael-deny" in part)
    assert "policyTypes: [Ingress, Egress]" in deny and not re.search(r"^  (ingress|egress):", deny, re.M)
    ledger = flows(text, "ledger")
    incoming, outgoing = ledger.split("  egress:")
    assert re.findall(r"component: (\S+)", incoming.split("ingress:")[1]) == ["api"]
    assert not outgoing.strip()
    vault_callers = re.findall(r"component: (\S+)", flows(text, "vault").split("ingress:")[1])
    assert vault_callers == ["api", "cards"]
    assert "0.0.0.0/0" in flows(text, "vault") and "0.0.0.0/0" not in flows(text, "cards")


@pytest.mark.parametrize("setting,says", [
    ("processes.tael.kind=DaemonSet", "processes.tael"),
    ("processes.tael.replicas=2", "processes.tael.replicas: a process with everything"),
    ("processes.tael.kind=Deployment", "a Deployment has no volume of its own"),
    ("processes.tael.calls={nobody}", "processes.tael.calls: there is no process nobody"),
    ("replicaCount=3", "replicaCount"),
    ("image.digest=latest", "image.digest"),
    ("settings.listen=0.0.0.0:1", "settings"),
    ("processes.tael.persistence.size=many", "processes.tael"),
])
def test_bad_values_are_told(helm, setting, says):
    assert says in template(helm, settings=(setting,), good=False)


def test_secrets_of_one_process_are_not_anothers(helm):
    """The database's password and each process's own proof; what is common to all is added."""
    text = template(helm, SETUPS["split-aws"])
    for pod in of_kind(text, "Deployment") + of_kind(text, "StatefulSet"):
        name = re.search(r"^  name: tael-(\w+)$", pod, re.MULTILINE).group(1)
        own = {"tael-tls", f"tael-{name}-tls"} | ({"tael-settings"} if name == "api" else set())
        assert set(re.findall(r"secretName: (\S+), default", pod)) == own


def test_the_key_of_webhooks_secrets_is_the_same_in_every_pod(helm):
    text = template(helm, SETUPS["split"])
    for pod in of_kind(text, "Deployment") + of_kind(text, "StatefulSet"):
        mounted = re.findall(r"name: webhooks-key, mountPath: (\S+),", pod)
        secret = re.findall(r"name: webhooks-key\n +secret:\n +secretName: (\S+)\n +defaultMode: 0440\n"
                            r" +items: \[{key: master.key, path: master.key}\]", pod)
        expected = "  name: tael-api\n" in pod
        assert (mounted, secret) == ((["/data/webhooks"], ["tael-webhooks"]) if expected else ([], []))
    assert "webhooks-key" not in template(helm)  # one process makes it on its volume


@pytest.mark.parametrize("settings,needed", [
    (("processes.api.webhooksKey=",), True),
    (("processes.api.webhooksKey=", "processes.api.autoscaling.enabled=false",
      "processes.api.replicas=1"), True),  # the next pod would not have it
    (("processes.api.webhooksKey=", "processes.api.autoscaling.enabled=false",
      "processes.api.replicas=2", "processes.api.kind=StatefulSet",
      "processes.api.persistence.enabled=true", "processes.api.persistence.size=1Gi"), True),
    (("processes.api.webhooksKey=", "processes.api.autoscaling.enabled=false",
      "processes.api.replicas=1", "processes.api.kind=StatefulSet",
      "processes.api.persistence.enabled=true", "processes.api.persistence.size=1Gi"), False),
])
def test_without_that_key_only_one_pod_on_a_volume(helm, settings, needed):
    text = template(helm, SETUPS["split"], settings, good=not needed)
    assert ("processes.api.webhooksKey: name a Secret" in text) == needed


def test_the_server_takes_that_key_as_kubernetes_mounts_it(make_server, tmp_path):
    """Secrets are links into a folder beside them, readable by the group, and never written."""
    def mount(data):
        folder = data / "webhooks"
        (folder / "..data").mkdir(parents=True)
        (folder / "..data" / "master.key").write_text(key)
        (folder / "..data" / "master.key").chmod(0o440)
        (folder / "master.key").symlink_to("..data/master.key")

    key = subprocess.run(["openssl", "rand", "-hex", "32"], check=True, timeout=60,
                         capture_output=True, text=True).stdout
    server = make_server(start=False)
    mount(server.data)
    server.start()
    answer = Http(server).post("/v1/webhook_endpoints", data={
        "url": "http://127.0.0.1:1/hook", "enabled_events[]": "*"})
    assert answer.status_code == 200, answer.text
    server.stop()
    assert sorted(path.name for path in (server.data / "webhooks").iterdir()) == [
        "..data", "master.key"]
    assert (server.data / "webhooks" / "master.key").read_text() == key


def test_carries_the_same_alerts_and_dashboard():
    for name in ("alerts.yaml", "dashboard.json"):
        own = (CHART / "files" / name).read_bytes()
        assert own == (ROOT / "deploy" / "monitoring" / name).read_bytes(), \
            f"cp deploy/monitoring/{name} deploy/helm/tael/files/"


def test_settings_are_the_servers(helm):
    """Every TAEL_ variable is a setting that the server knows."""
    known = set(re.findall(r"--([a-z0-9-]+)", run_tael("server", "--help").stdout))
    for setup, files in SETUPS.items():
        names = re.findall(r"name: TAEL_(\w+)", template(helm, files))
        assert names
        unknown = {name.lower().replace("_", "-") for name in names} - known
        assert not unknown, (setup, unknown)


def test_roles_are_the_servers():
    schema = json.loads((CHART / "values.schema.json").read_text())
    process = schema["properties"]["processes"]["additionalProperties"]["anyOf"][0]
    roles = process["properties"]["roles"]["items"]["enum"]
    says = run_tael("server", "--roles=nobody", "--data=/nonexistent").stderr
    known = re.search(r"there are all, (.*)", says).group(1)
    assert sorted(roles) == sorted(re.findall(r"\w+", known.replace(" and ", " ")))


def test_schema_is_json():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
