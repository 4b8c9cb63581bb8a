"""What check-grafana.sh does: starts Grafana, and asks it."""

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

OBSERVABILITY = Path("compose/observability/grafana").resolve()
DASHBOARD = OBSERVABILITY / "dashboards/headwater.json"
PATIENCE = 60
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fail(what):
    sys.exit(f"check-grafana: {what}")


def prepare(directory, prometheus):
    """Our provisioning, with this machine's paths in the place of the container's, among the folders that Grafana's image has."""
    try:
        NO_PROXY.open(f"{prometheus}/-/ready", timeout=10).close()
    except OSError as error:
        fail(f"no Prometheus answers at {prometheus} ({error}): the panels' queries are run there, so start one, or say PROMETHEUS_URL")
    provisioning = directory / "provisioning"
    for folder in ("access-control", "alerting", "notifiers", "plugins"):
        (provisioning / folder).mkdir(parents=True)
    for file, ours, here in (
        ("datasources/prometheus.yml", "http://prometheus:9090", prometheus),
        ("dashboards/headwater.yml", "/var/lib/grafana/dashboards", str(DASHBOARD.parent)),
    ):
        text = (OBSERVABILITY / "provisioning" / file).read_text()
        if ours not in text:
            fail(f"provisioning/{file} does not name {ours}")
        (provisioning / file).parent.mkdir()
        (provisioning / file).write_text(text.replace(ours, here))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As compose.yaml has it, and nothing that asks anybody outside.
    (directory / "grafana.ini").write_text(f"""
[paths]
data = {directory}/data
logs = {directory}/logs
plugins = {directory}/plugins
provisioning = {provisioning}
[server]
http_addr = 127.0.0.1
http_port = {port}
[log]
mode = console
[security]
disable_initial_admin_creation = true
[auth.anonymous]
enabled = true
org_role = Viewer
[dashboards]
default_home_dashboard_path = {DASHBOARD}
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[plugins]
preinstall_disabled = true
""")
    return f"http://127.0.0.1:{port}"


class Grafana:
    """A Grafana that was just started."""

    def __init__(self, process, url, log):
        self.process, self.url, self.log = process, url, log

    def ask(self, path, body=None):
        """The answer's status and its JSON, an error's as well; no status while nothing listens."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with NO_PROXY.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError:
            return None, None

    def refused(self):
        """What Grafana's log says that it did not take of the provisioning."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if "logger=provisioning" in line and re.search(r"level=error|lvl=eror", line)]

    def wait(self, what, path):
        until = time.monotonic() + PATIENCE
        while True:
            status, answer = self.ask(path)
            if status == 200:
                return answer
            if refused := self.refused():
                fail("Grafana does not take the provisioning:\n" + "\n".join(refused))
            ended = self.process.poll() is not None
            if ended or time.monotonic() > until:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
                fail(f"{'Grafana ended' if ended else f'after {PATIENCE} s'} without {what}; its log ends with:\n{tail}")
            time.sleep(0.2)


def differences(ours, theirs, at=""):
    """What Grafana has otherwise than the file: (place, what), and whether it is lost or changed rather than added."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            place = f"{at}.{key}" if at else key
            if key not in theirs:
                yield f"{place} is lost", True
            elif key not in ours:
                yield f"{place} is added: {json.dumps(theirs[key])[:80]}", False
            else:
                yield from differences(ours[key], theirs[key], place)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs)):
            yield from differences(one, other, f"{at}[{index}]")
    elif ours != theirs:
        yield f"{at} is {json.dumps(theirs)[:80]}, not {json.dumps(ours)[:80]}", True


def panels_of(panels):
    for panel in panels:
        yield panel
        yield from panels_of(panel.get("panels", []))


def check(grafana):
    try:
        ours = json.loads(DASHBOARD.read_text())
    except ValueError as error:
        fail(f"{DASHBOARD} is no JSON: {error}")
    version = grafana.wait("an answer", "/api/health").get("version")
    found = grafana.wait("the dashboard", f"/api/dashboards/uid/{ours['uid']}")
    # The number of the row in Grafana's database, and how often it was saved, are Grafana's own.
    theirs = {key: value for key, value in found["dashboard"].items() if key not in ("id", "version")}
    told = list(differences({key: value for key, value in ours.items() if key not in ("id", "version")}, theirs))
    for what, _ in told:
        print(f"check-grafana: {what}", file=sys.stderr)
    if any(lost for _, lost in told):
        fail("the dashboard is not in Grafana as it is in the file: say there what Grafana says, so that nothing depends on its version")
    if not found["meta"].get("provisioned"):
        fail("the dashboard is there, and not of the provisioning")
    status, home = grafana.ask("/api/dashboards/home")
    if status != 200 or home.get("dashboard", {}).get("title") != ours["title"]:
        fail(f"Grafana's home is not the dashboard: {status} {str(home)[:200]}")

    status, settings = grafana.ask("/api/frontend/settings")
    source = next((one for one in settings["datasources"].values() if one.get("uid", one["name"]) in ("prometheus", "Prometheus")), None)
    if source is None:
        fail(f"there is no data source of the uid prometheus among {list(settings['datasources'])}")
    asked = filled = 0
    for panel in panels_of(ours["panels"]):
        for target in panel.get("targets", []):
            # Old Grafanas look for the number, newer ones for the uid.
            query = dict(target, datasource={"type": "prometheus", "uid": "prometheus"}, datasourceId=source["id"])
            query.update(expr=target["expr"].replace("$connector", ".*"), intervalMs=10000, maxDataPoints=100, format="time_series")
            status, answer = grafana.ask("/api/ds/query", {"from": "now-5m", "to": "now", "queries": [query]})
            result = answer.get("results", {}).get(target["refId"]) if isinstance(answer, dict) else None
            if status != 200 or not result or result.get("error"):
                fail(f"panel {panel['title']!r}, query {target['refId']} ({target['expr']}): {status} {str(answer)[:500]}")
            frames = [frame for frame in result.get("frames") or [] if frame.get("data", {}).get("values")]
            asked += 1
            filled += bool(frames or result.get("series"))
    if not asked:
        fail("the dashboard asks for nothing")
    if refused := grafana.refused():
        fail("Grafana does not take the provisioning:\n" + "\n".join(refused))
    print(f"check-grafana: {version}: the dashboard is there, {asked} queries run, {filled} of them give something", file=sys.stderr)


def main(home, prometheus, server):
    # Ended from outside, it takes Grafana with it too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        url = prepare(directory, prometheus)
        log = directory / "log"
        with log.open("w") as written:
            arguments = ["--homepath", home, "--config", directory / "grafana.ini"]
            process = subprocess.Popen([*server, *arguments], stdin=subprocess.DEVNULL, stdout=written, stderr=written)
        try:
            check(Grafana(process, url, log))
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


main(sys.argv[1], sys.argv[2].rstrip("/"), sys.argv[3:])
