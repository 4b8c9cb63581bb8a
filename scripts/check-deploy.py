"""Kubernetes' objects in files: each by its schema, and what the pods of all of them have to have."""

import sys

import kubernetes_validate
import yaml


def fail(what):
    sys.exit(f"check-deploy: {what}")


def check_pod(name, pod):
    """What nobody should forget who changes a manifest."""
    if pod["securityContext"].get("runAsNonRoot") is not True or pod.get("automountServiceAccountToken") is not False:
        fail(f"{name} may be root, or has the account's token")
    for container in pod["containers"]:
        rights = container["securityContext"]
        if not rights["readOnlyRootFilesystem"] or rights["allowPrivilegeEscalation"] or rights["capabilities"]["drop"] != ["ALL"]:
            fail(f"{name} may do more than it has to")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                fail(f"{name} has no {probe}")
        # What waits for Kafka must not be killed for it.
        if "--alive" not in container["livenessProbe"]["exec"]["command"]:
            fail(f"{name} is killed when something stands still")
        if "memory" not in container["resources"]["limits"]:
            fail(f"{name} has no limit of memory")


def names(objects, kind):
    return {each["metadata"]["name"] for each in objects if each["kind"] == kind}


with open("compose/observability/alerts.yml") as file:
    ALERTS = yaml.safe_load(file)["groups"]

for path in sys.argv[1:]:
    with open(path) as file:
        objects = [each for each in yaml.safe_load_all(file) if each]
    checked = 0
    for each in objects:
        name = f"{path}: {each['kind']} {each['metadata']['name']}"
        # The Prometheus operator's own kinds come with no schema of Kubernetes'.
        if not each["apiVersion"].startswith("monitoring.coreos.com/"):
            try:
                kubernetes_validate.validate(each, "1.31", strict=True)
            except kubernetes_validate.ValidationError as error:
                fail(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
            checked += 1
        if each["kind"] == "PrometheusRule" and not all(group in each["spec"]["groups"] for group in ALERTS):
            fail(f"{name} lacks what compose/observability/alerts.yml has: put its groups there as they are")
        if each["kind"] == "Deployment":
            check_pod(name, each["spec"]["template"]["spec"])
            # kustomize gives a generated map a name of its own, and puts it where it is named. The base has none.
            maps = names(objects, "ConfigMap")
            for source in each["spec"]["template"]["spec"]["containers"][0]["envFrom"]:
                if maps and source["configMapRef"]["name"] not in maps:
                    fail(f"{name} names a ConfigMap that is not there")
    print(f"{path}: {len(objects)} objects, {checked} by their schemas", file=sys.stderr)
