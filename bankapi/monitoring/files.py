"""Gauges about the installation's files: certificates that run out, the disk that fills, the program itself."""

import platform
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bankapi import __version__
from bankapi.settings import Settings
from bankapi.storage.schema import NEWEST

CERTIFICATES: Final = {
    "gateway": ("gateway", "cert.pem"),
    "signing": ("gateway", "signing-cert.pem"),
    "next-signing": ("gateway", "next-signing-cert.pem"),
    "ca": ("ca", "ca.pem"),
    "crl": ("ca", "crl.pem"),
}
"""What runs out, by the name that metrics give it, as its place in the home."""


class Files(Collector):
    """Collects from one installation's home."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "bankapi_build",
            "What runs here.",
            {"version": __version__, "python": platform.python_version(), "schema_revision": NEWEST},
        )
        expiry = GaugeMetricFamily(
            "bankapi_certificate_expiry_timestamp_seconds",
            "When a certificate of ours, or the revocation list, runs out.",
            labels=("certificate",),
        )
        for name, place in CERTIFICATES.items():
            expires_at = runs_out_at(self._home.joinpath(*place))
            if expires_at is not None:
                expiry.add_metric([name], expires_at.timestamp())
        yield expiry
        disk = shutil.disk_usage(self._home)
        yield GaugeMetricFamily("bankapi_home_free_bytes", "What is free on the disk of the home.", disk.free)
        yield GaugeMetricFamily("bankapi_home_size_bytes", "The size of that disk.", disk.total)


def runs_out_at(file: Path) -> datetime | None:
    """When a certificate or a revocation list runs out; None when there is none that can be read."""
    try:
        content = file.read_bytes()
        if b"X509 CRL" in content:
            return x509.load_pem_x509_crl(content).next_update_utc
        return x509.load_pem_x509_certificate(content).not_valid_after_utc
    except (OSError, ValueError):
        return None
