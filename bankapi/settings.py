"""Everything an installation can set: one frozen object, from `bankapi.ini` in the home and `BANKAPI_*` variables.

A variable `BANKAPI_GATEWAY_PORT` overrides `port` in section `[gateway]`. Unknown names and incoherent values refuse
to start: a setting that is silently ignored is worse than none.
"""

import os
import re
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

FILE_NAME: Final = "bankapi.ini"
TLS: Final = "tls"
_UNIX_SOCKET: Final = re.compile(r"unix:/[A-Za-z0-9._/-]{1,100}")
"""The kernel takes at most 107 bytes (unix(7))."""


class SettingsError(ValueError):
    """The settings contradict themselves or name what does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The service itself: section `[gateway]`."""

    listen: str = TLS
    """`tls`: TLS of our own on `host` and `port`. `unix:/path`: nginx on this machine ends TLS and connects there."""
    front_user: str = "www-data"
    """Behind nginx: the only user whose processes may connect."""
    front_group: str = ""
    """Behind nginx: the group of the socket, which `front_user` must be in; empty means our own."""
    host: str = "127.0.0.1"
    """The address `port` is on; not used behind nginx."""
    port: int = 8443
    """For TLS of our own."""
    url: str = "https://localhost:8443/soap/v1"
    """The address callers use, published in the WSDL that the gateway serves."""
    workers: int = 2
    """Processes; about one per core."""
    threads: int = 8
    """Requests a process works on at once."""
    keepalive_s: int = 75
    """How long an idle connection stays open."""
    handshake_deadline_s: float = 3.0
    """From the accepted connection to the end of the TLS handshake."""
    request_deadline_s: float = 10.0
    """From a request's first byte to its last, and the same again for taking the answer."""
    patience_s: float = 5.0
    """How long a request may wait for its turn before it is refused as OVERLOADED."""
    graceful_stop_s: int = 30
    """How long a stopping process may take for the requests in flight."""


class Isolation(StrEnum):
    """What a transaction sees of others (PostgreSQL manual, 13.2); those of SQLite are always serializable."""

    READ_COMMITTED = "read-committed"
    SERIALIZABLE = "serializable"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The database: section `[storage]`. Everything but `url` is for PostgreSQL and what speaks its language."""

    url: str = ""
    """SQLAlchemy URL; empty means SQLite in `bankapi.db` in the home."""
    isolation: Isolation = Isolation.READ_COMMITTED
    """read-committed, or serializable for an engine that is distributed or offers nothing else."""
    pool_size: int = 16
    """Connections a process keeps; as many again while they are all used."""
    pool_timeout_s: float = 5.0
    """How long a request waits for a connection while all are used."""
    connect_timeout_s: int = 5
    """How long a new connection to the database may take."""
    statement_timeout_s: float = 10.0
    """A statement of a request that takes longer is ended; staff's commands, reports and audits may take their time."""
    lock_timeout_s: float = 5.0
    """How long a statement of a request waits for a row that another transaction holds."""
    idle_in_transaction_timeout_s: float = 30.0
    """A transaction that nobody goes on with is ended, and its locks with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSettings:
    """The journal of exchanges: section `[evidence]`."""

    origin: str = "bankapi/journal"
    """The name of this installation's journal in checkpoints; never changed once it is used."""
    seal_s: float = 1.0
    """How often committed exchanges are sealed into the tree."""
    checkpoint_s: float = 10.0
    """How often the head of a tree that has grown is signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsSettings:
    """Business days and their reports: section `[reports]`."""

    close_after_min: float = 60.0
    """How long after its dealer's midnight a business day is closed by the worker."""


class Reach(StrEnum):
    """Who can reach an address that asks nobody who they are."""

    LOOPBACK = "loopback"
    NETWORK = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Health, readiness and metrics over plain HTTP: section `[monitoring]`."""

    host: str = "127.0.0.1"
    """An IP address."""
    port: int = 9464
    """0 means that there is none."""
    reach: Reach = Reach.LOOPBACK
    """loopback, or network to allow a host that other machines can reach."""
    slow_request_ms: float = 1000.0
    """A request that takes longer is logged with its stages. Ping says DEGRADED when half of the payments do."""
    late_s: float = 300.0
    """How long an exchange may wait for a checkpoint before the gateway is not ready, and it or a due notice before
    Ping says DEGRADED."""


class IdNotation(StrEnum):
    """How an SMSC writes the ids it gives to messages."""

    TEXT = "text"
    HEX = "hex"
    DECIMAL = "decimal"


@dataclass(frozen=True, slots=True, kw_only=True)
class SMSCSettings:
    """An SMS centre: section `[sms_fallback]`, and part of `[sms]`."""

    host: str = ""
    """Empty means that there is none."""
    port: int = 2775
    """Where it takes connections."""
    system_id: str = ""
    """Who we are to it (SMPP 3.4, 5.2.1)."""
    password: str = field(default="", repr=False)
    """Its password for us (SMPP 3.4, 5.2.2)."""
    system_type: str = ""
    """What kind of system we are to it (SMPP 3.4, 5.2.3)."""
    response_ids: IdNotation = IdNotation.TEXT
    """How it writes message ids when it takes a message: text, hex or decimal."""
    receipt_ids: IdNotation = IdNotation.TEXT
    """How it writes the same ids in the text of delivery receipts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SMSSettings(SMSCSettings):
    """Notices to subscribers over SMPP 3.4: section `[sms]`. Without a host nothing is queued and nothing sent."""

    sender: str = "bankapi"
    """Who the SMS are from: up to 11 letters and digits, or a number."""
    language: str = "en"
    """For subscribers whose language is not known."""
    time_zone: str = "UTC"
    """Where the quiet hours are, such as Europe/Moscow."""
    quiet_from: str = ""
    """Nothing is sent from then, HH:MM in `time_zone`, until `quiet_until`."""
    quiet_until: str = ""
    """HH:MM in `time_zone`."""
    per_second: float = 10.0
    """Short messages a process submits at most."""
    response_timeout_s: float = 10.0
    """An SMSC that takes longer to answer is taken to hang, and the connection is given up."""
    enquire_link_s: float = 30.0
    """How often an idle connection is tried."""
    retry_first_s: float = 5.0
    """The wait after a first failure; it doubles with each further one, up to `retry_last_s`."""
    retry_last_s: float = 900.0
    """The longest wait between two tries."""
    expiry_h: float = 72.0
    """A notice that could not be sent by then is not sent any more."""
    uncertain_max: int = 3
    """How often a notice may be submitted without learning whether it was taken; each may be one more SMS."""
    fallback_return_s: float = 300.0
    """How often the first SMSC is tried again while the second one is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation."""

    home: Path
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    reports: ReportsSettings = field(default_factory=ReportsSettings)
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
    sms: SMSSettings = field(default_factory=SMSSettings)
    sms_fallback: SMSCSettings = field(default_factory=SMSCSettings)

    @property
    def database_url(self) -> str:
        return self.storage.url or f"sqlite:///{self.home / 'bankapi.db'}"

    @property
    def ca_certificate(self) -> Path:
        return self.home / "ca" / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.home / "ca" / "ca-key.pem"

    def ca_file(self, name: str) -> Path:
        """During a rollover: `next-ca-key.pem`, then `last-ca-key.pem`."""
        return self.home / "ca" / name

    @property
    def retired_ca_certificates(self) -> Path:
        """CAs that nothing in use was issued by, and old messages were: for audits only. There may be none."""
        return self.home / "ca" / "retired.pem"

    @property
    def revocation_list(self) -> Path:
        return self.home / "ca" / "crl.pem"

    def gateway_file(self, name: str) -> Path:
        """`cert.pem`, `key.pem` (TLS), `signing-cert.pem`, `signing-key.pem`."""
        return self.home / "gateway" / name

    @property
    def signing_certificates(self) -> list[Path]:
        """What answers may be signed by: the present key, and during a rollover the next and the last one."""
        names = ("signing-cert.pem", "next-signing-cert.pem", "last-signing-cert.pem")
        return [file for file in map(self.gateway_file, names) if file.exists()]

    @property
    def gunicorn_configuration(self) -> Path:
        """What is tuned of gunicorn on this machine; without the file its defaults hold."""
        return self.home / "gunicorn.conf.py"

    @property
    def way4_configuration(self) -> Path:
        """Message codes and places of the Way4 adapter; without the file there is none."""
        return self.home / "way4.ini"

    def channel_file(self, dealer: str, name: str) -> Path:
        """`cert.pem` or `key.pem` of a dealer's channel whose key was made here (demo and tests)."""
        return self.home / "channels" / dealer / name

    def terminal_file(self, terminal: str, name: str) -> Path:
        """`cert.pem` or `key.pem` of a terminal whose key was made here (demo and tests)."""
        return self.home / "terminals" / terminal / name


_SECTIONS: Final[dict[str, type[Any]]] = {
    "gateway": GatewaySettings,
    "storage": StorageSettings,
    "evidence": EvidenceSettings,
    "reports": ReportsSettings,
    "monitoring": MonitoringSettings,
    "sms": SMSSettings,
    "sms_fallback": SMSCSettings,
}


def home_from(environment: Mapping[str, str]) -> Path:
    """`BANKAPI_HOME`, or `./var`."""
    return Path(environment.get("BANKAPI_HOME", "var")).absolute()


def load(home: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the file, then the variables over it; SettingsError names every mistake."""
    file = ConfigParser(interpolation=None)
    file.read(home / FILE_NAME, encoding="utf-8")
    given: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for section in file.sections():
        if section not in _SECTIONS:
            raise SettingsError(f"{home / FILE_NAME}: no such section [{section}]")
        given[section] = dict(file[section])
    for section, kind in _SECTIONS.items():
        for setting in fields(kind):
            variable = f"BANKAPI_{section}_{setting.name}".upper()
            if variable in environment:
                given[section][setting.name] = environment[variable]
    settings = Settings(home=home, **{section: _section(section, given[section]) for section in _SECTIONS})
    _check(settings)
    return settings


def _section(section: str, given: Mapping[str, str]) -> Any:
    kind = _SECTIONS[section]
    types: dict[str, Any] = {setting.name: setting.type for setting in fields(kind)}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in types:
            raise SettingsError(f"no such setting: {name} in [{section}]")
        try:
            values[name] = types[name](text)
        except ValueError as error:
            is_choice = issubclass(types[name], StrEnum)
            wanted = f"one of {', '.join(types[name])}" if is_choice else "a number"
            raise SettingsError(f"{name} in [{section}] must be {wanted}") from error
    return kind(**values)


def _check(settings: Settings) -> None:
    gateway = settings.gateway
    for section in _SECTIONS:
        part = getattr(settings, section)
        for setting in fields(part):
            value = getattr(part, setting.name)
            if setting.name != "port" and isinstance(value, int | float) and value <= 0:
                raise SettingsError(f"{setting.name} in [{section}] must be positive")
    if not 0 <= gateway.port <= 65535:
        raise SettingsError("port in [gateway] must be between 0 and 65535")
    if gateway.listen != TLS and not _UNIX_SOCKET.fullmatch(gateway.listen):
        raise SettingsError("listen in [gateway] must be tls, or unix: and an absolute path")
    if not settings.evidence.origin or any(character.isspace() for character in settings.evidence.origin):
        raise SettingsError("origin in [evidence] must be a name without spaces")
    if not gateway.url.startswith("https://"):
        raise SettingsError("url in [gateway] must be https: the gateway is never served in the clear")
    _check_monitoring(settings)
    _check_sms(settings)


def _check_monitoring(settings: Settings) -> None:
    monitoring, evidence = settings.monitoring, settings.evidence
    if not 0 <= monitoring.port <= 65535:
        raise SettingsError("port in [monitoring] must be between 0 and 65535")
    try:
        address = ip_address(monitoring.host)
    except ValueError as error:
        raise SettingsError("host in [monitoring] must be an IP address such as 127.0.0.1") from error
    if not address.is_loopback and monitoring.reach is Reach.LOOPBACK:
        raise SettingsError(
            "host in [monitoring] can be reached by other machines, and nobody is asked who they are: "
            "say reach = network if that is meant"
        )
    if monitoring.late_s <= evidence.seal_s + evidence.checkpoint_s:
        raise SettingsError("late_s in [monitoring] must be more than seal_s and checkpoint_s in [evidence] together")


def _check_sms(settings: Settings) -> None:
    sms = settings.sms
    for section, smsc in (("sms", sms), ("sms_fallback", settings.sms_fallback)):
        if not 1 <= smsc.port <= 65535:
            raise SettingsError(f"port in [{section}] must be between 1 and 65535")
        # SMPP 3.4, 4.1.1: longer ones would be cut on their way.
        for name, most in (("system_id", 15), ("password", 8), ("system_type", 12)):
            value = getattr(smsc, name)
            if len(value) > most or not value.isascii():
                raise SettingsError(f"{name} in [{section}] must have at most {most} ASCII characters")
    if settings.sms_fallback.host and not sms.host:
        raise SettingsError("[sms_fallback] has a host, but [sms] has none")
    is_number = sms.sender.isdecimal() and len(sms.sender) <= 15
    is_name = sms.sender.isascii() and sms.sender.isprintable() and len(sms.sender) <= 11
    if not sms.sender or not (is_number or is_name):
        raise SettingsError("sender in [sms] must be a number or at most 11 letters and digits")
    if bool(sms.quiet_from) != bool(sms.quiet_until):
        raise SettingsError("quiet_from and quiet_until in [sms] need each other")
    for name in ("quiet_from", "quiet_until"):
        if (value := getattr(sms, name)) and not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise SettingsError(f"{name} in [sms] must be a time such as 22:00")
    try:
        ZoneInfo(sms.time_zone)
    except (ValueError, OSError, KeyError) as error:
        raise SettingsError("time_zone in [sms] must be a time zone such as Europe/Moscow") from error
