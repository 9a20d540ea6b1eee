"""The files that operators are given: a dashboard that Grafana takes, alerts that lead somewhere, and what runs out."""

import json
import subprocess
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from bankapi import clock
from bankapi.cli.authority import Authority, certificate_pem
from bankapi.monitoring.files import CERTIFICATES, Files, runs_out_at
from bankapi.settings import Settings
from tests.programs import needs

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS = DEPLOY / "prometheus-alerts.yml"
RUNBOOK = {
    *("Gateway down", "Not ready", "Errors", "Latency", "Declines", "Evidence lag", "Notices", "Certificates"),
    *("Disk", "Day close", "Database"),
}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def test_every_alert_leads_to_a_section_of_the_runbook_and_every_section_has_one() -> None:
    assert {rule["annotations"]["runbook"] for rule in rules()} == RUNBOOK
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules())
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_the_panels_of_the_dashboard_have_queries_and_places_of_their_own() -> None:
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels if panel["type"] != "row" for target in panel["targets"])
    places = [panel["gridPos"] for panel in panels]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in places), "Grafana's grid"


@pytest.mark.slow
@needs("promtool")
def test_prometheus_takes_the_alerts_and_every_query_of_the_dashboard(tmp_path: Path) -> None:
    checked = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    variables = {"$__rate_interval": "1m", "$instance": ".*", "$operation": ".*"}
    queries = []
    for query in (target["expr"] for panel in panels for target in panel.get("targets", ())):
        for name, meant in variables.items():
            query = query.replace(name, meant)
        assert "$" not in query
        queries.append({"record": f"panel:{len(queries)}", "expr": query})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))
    checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@needs("promtool")
def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    """Prometheus itself runs the rules over made-up series (promtool test rules)."""
    bank = '{instance="a", dealer="BANK", currency="RUB", event="%s"}'
    series = {
        'up{job="bankapi", instance="a"}': "1x10 0x50",
        'bankapi_ready{instance="a", check="evidence"}': "1x20 0x40",
        'bankapi_requests_total{instance="a", outcome="OK"}': "0+6000x60",
        'bankapi_requests_total{instance="a", outcome="INTERNAL"}': "0+1x20 20+600x40",
        f"bankapi_payments_total{bank % 'registered'}": "0+100x1500",
        f"bankapi_payments_total{bank % 'declined'}": "0+5x1440 7200+200x60",
        'bankapi_certificate_expiry_timestamp_seconds{instance="a", certificate="ca"}': f"{20 * 86400}x1500",
    }
    cases = [
        ("10m", "BankapiDown", []),
        ("13m", "BankapiDown", [{"severity": "critical", "instance": "a", "job": "bankapi"}]),
        ("20m", "BankapiNotReady", []),
        ("25m", "BankapiNotReady", [{"severity": "critical", "instance": "a", "check": "evidence"}]),
        ("20m", "BankapiErrors", []),
        ("40m", "BankapiErrors", [{"severity": "critical", "instance": "a"}]),
        ("1430m", "BankapiDeclines", []),
        ("1470m", "BankapiDeclines", [{"severity": "warning", "instance": "a", "dealer": "BANK"}]),
        ("70m", "BankapiCertificateExpiresSoon", [{"severity": "warning", "instance": "a", "certificate": "ca"}]),
        ("70m", "BankapiCertificateExpires", []),
    ]
    bare = yaml.safe_load(ALERTS.read_text())
    for rule in bare["groups"][0]["rules"]:
        del rule["annotations"]  # their numbers are not what is looked at
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(bare))
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": each} for each in expected]}
                    for at, name, expected in cases
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_runs_out_is_told_and_what_cannot_be_read_is_not(installation: Settings) -> None:
    told = {
        sample.labels["certificate"]: sample.value
        for family in Files(installation).collect()
        for sample in family.samples
        if family.name == "bankapi_certificate_expiry_timestamp_seconds"
    }
    assert set(told) == set(CERTIFICATES) - {"next-signing"}
    next_file = installation.gateway_file("next-signing-cert.pem")
    certificate = Authority.create("next", clock.utc_now() - timedelta(days=1)).certificate
    next_file.write_bytes(certificate_pem(certificate))
    assert runs_out_at(next_file) == certificate.not_valid_after_utc
    next_file.write_bytes(b"half of")
    assert runs_out_at(next_file) is None
