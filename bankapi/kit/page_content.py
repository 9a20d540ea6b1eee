"""What the page says: how to pay here, for the developer who has just got a certificate."""

import copy
from datetime import UTC, datetime
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from bankapi.billing.holders import Holder
from bankapi.contract import codes
from bankapi.gateway import keys
from bankapi.kit import guides, page_files, page_reference, samples
from bankapi.kit.contents import CERTIFICATE, YOUR_KEY
from bankapi.kit.page_files import Download
from bankapi.kit.page_markup import Content, E, Element, document, marked, table, titled
from bankapi.kit.page_reference import TYPES_PATH
from bankapi.operations.ping import ServiceState
from bankapi.sandbox import numbers
from bankapi.settings import Settings
from bankapi.wsse.trust import fingerprint

_CLOCKS: Final = (
    "Created of a request may be five minutes ahead of it, and Expires five minutes behind; more is refused (SECURITY)."
)
_SANDBOX: Final = "This is a SANDBOX: no payment is real, and some numbers fail on purpose."


def page(
    settings: Settings,
    holder: Holder,
    state: ServiceState,
    *,
    now: datetime,
    contract_version: str,
    is_sandbox: bool,
) -> bytes:
    """The page for one reader."""
    main = E.main(
        {"id": "main"},
        _connection(holder, state, now, contract_version),
        _first_payment(),
        copy.deepcopy(_lost()),
        copy.deepcopy(_refused()),
        _downloads(settings),
        *([_numbers()] if is_sandbox else []),
        # The original is shared by threads, which only copy it.
        *(copy.deepcopy(section) for section in _reference()),
    )
    links = [(f"#{each.get('id')}", each.findtext("h2", "")) for each in main] + [(TYPES_PATH, "Types")]
    contents = E.ul(*(E.li(E.a({"href": path}, title)) for path, title in links))
    navigation = E.nav({"aria-label": "Contents"}, contents)
    title = f"bankapi {'SANDBOX ' if is_sandbox else ''}at {urlsplit(settings.gateway.url).netloc}"
    return document(title, _header(settings, is_sandbox), navigation, main)


@cache
def types() -> bytes:
    """The page of the contract's types, the same for everybody."""
    header = E.header(E.p(E.a({"href": "/"}, "All about this gateway")))
    return document("Types of the contract", header, E.main({"id": "main"}, page_reference.types()))


def forbidden(reader: str | None) -> bytes:
    """For a certificate that may not use the gateway: its SHA-256 and no reason."""
    main = E.main(
        {"id": "main"},
        E.h1("This certificate may not use the gateway now"),
        E.p("The operator knows why: ask, and name the SHA-256 of your certificate."),
    )
    if reader is not None:
        main.append(E.p(E.code(reader)))
    return document("Not allowed", main)


def not_now(state: ServiceState, now: datetime) -> bytes:
    """When nobody can be looked up, or payments need the time."""
    words = E.p(codes.SERVICE_STATES[state], " Our clock: ", _time(now), ".")
    return document("Not now", E.main({"id": "main"}, E.h1(_shown(state)), words))


@cache
def _reference() -> tuple[Element, ...]:
    return page_reference.operations(), page_reference.results(), page_reference.faults()


def _header(settings: Settings, is_sandbox: bool) -> Element:
    return E.header(
        E.h1("Payments to the operator's customers"),
        *([E.p({"class": "banner"}, E.strong(_SANDBOX))] if is_sandbox else []),
        E.p(
            "This is the gateway for banks and payment systems: SOAP 1.1 over mutual TLS, where every message is "
            "signed and every payment is registered exactly once. Send requests by POST to ",
            E.code(settings.gateway.url),
            ".",
        ),
    )


def _connection(holder: Holder, state: ServiceState, now: datetime, contract_version: str) -> Element:
    section = titled("connection", "Your connection")
    who: list[Content] = [E.strong(holder.dealer), ", by a channel of its processing centre"]
    if holder.terminal is not None:
        who = [E.strong(holder.terminal), " of ", E.strong(holder.dealer)]
    facts = (
        ("Service", [_shown(state), f" {codes.SERVICE_STATES[state]}"]),
        ("You are", who),
        ("Your certificate ends", [_time(holder.certificate.valid_until)]),
        ("Our clock", [_time(now), f". {_CLOCKS}"]),
        ("Contract", [f"version {contract_version}"]),
    )
    section.append(E.dl({"class": "facts"}, *(E.div(E.dt(name), E.dd(*words)) for name, words in facts)))
    return section


def _first_payment() -> Element:
    section = titled("first-payment", "Five steps to the first payment")
    section.append(
        E.ol(
            E.li(
                E.strong("Keep what you have got. "),
                "You read this page, so TLS with your certificate works. Take the ",
                E.a({"href": page_files.CA.path}, "CA"),
                ", the ",
                E.a({"href": page_files.SIGNERS[0].path}, "signing certificate"),
                " and the ",
                E.a({"href": page_files.CONTRACT[0].path}, "WSDL"),
                ". They came over the very connection that they vouch for: ask the operator by another way whether the "
                "fingerprints below are right.",
            ),
            E.li(
                E.strong("Take a client. "),
                "Each one ",
                E.a({"href": "#downloads"}, "below"),
                " is complete and run against the gateway by its own tests, the one for .NET under Mono only. Or build "
                "your own from the WSDL: BY-HAND.md in the ",
                E.a({"href": page_files.GUIDES.path}, "guides"),
                " has all that you need. Sign Body and Timestamp (WS-Security, X.509 token by direct reference, "
                "exclusive canonicalization, RSA-SHA256 or ECDSA-SHA256 with P-256, SHA-256 digests).",
                copy.deepcopy(_envelope()),
            ),
            E.li(
                E.strong("Call "),
                E.a({"href": "#Ping"}, "Ping"),
                E.strong(". "),
                "It goes the whole way of a payment. A fault ",
                E.a({"href": "#SECURITY"}, "SECURITY"),
                " says no reason on purpose: ask the offline checker, ",
                E.code("bankapi message check FILE"),
                " (CHECKER.md in the guides), and see ",
                E.a({"href": "#refused"}, "what to look at"),
                ".",
            ),
            E.li(
                E.strong("Prove the answer. "),
                "Believe it only when the signature by our signing certificate covers its Body and its ",
                E.a({"href": f"{TYPES_PATH}#Exchange"}, "Exchange"),
                " header, and the digest there is that of the request you sent. BY-HAND.md has the seven checks.",
            ),
            E.li(
                E.strong("Call "),
                E.a({"href": "#RegisterPayment"}, "RegisterPayment"),
                E.strong(" twice with one Reference. "),
                "The second answer is the first one again, and says Replayed. That is what to do when an answer is "
                "lost: the same request with the same Reference, signed anew. ",
                E.a({"href": "#lost"}, "Read the rules"),
                " before any money is real.",
            ),
        )
    )
    return section


@cache
def _envelope() -> Element:
    """What no sample of an operation shows: the Security header."""
    (shown,) = (sample for sample in samples.all() if sample.name == "RegisterPayment")
    return E.details(
        E.summary("A whole request with its Security header"),
        E.p("Indented for you, its base64 shortened: no indented message verifies. The signed samples do."),
        E.pre(E.code(samples.outline(shown.request))),
    )


@cache
def _lost() -> Element:
    section = titled("lost", "When an answer is lost")
    case, *rules = guides.LOST
    section.append(E.p(marked(case)))
    section.append(E.ol(*(E.li(marked(rule)) for rule in rules)))
    return section


@cache
def _refused() -> Element:
    section = titled("refused", "When you are refused")
    rows = [(marked(seen), marked(look_at)) for seen, look_at in guides.refusals(YOUR_KEY)]
    section.append(table(("You see", "Look at"), rows))
    return section


def _downloads(settings: Settings) -> Element:
    section = titled("downloads", "Downloads")
    section.append(E.h3("Contract, guides and samples"))
    files = (*page_files.CONTRACT, page_files.GUIDES, page_files.SAMPLES)
    section.append(E.ul(*(E.li(*_link(each)) for each in files)))
    section.append(E.h3("Certificates"))
    section.append(E.ul(*_certificates(settings)))
    section.append(E.h3("Clients"))
    section.append(
        E.p(
            "Each with its guide, the WSDL, the CA and the signing certificate. Two files are yours: ",
            E.code(CERTIFICATE),
            " and ",
            E.code(YOUR_KEY),
            ". The operator can give you all of it as one kit for your terminal.",
        )
    )
    section.append(
        E.ul({"class": "clients"}, *(E.li(*_link(each), " (zip)") for each in page_files.clients())),
    )
    return section


def _certificates(settings: Settings) -> list[Element]:
    """Those there are now, with what to compare them by."""
    listed = []
    for download in (page_files.CA, *page_files.SIGNERS):
        try:
            certificate = keys.load_certificate(page_files.certificate_file(settings, download))
        except FileNotFoundError:
            continue
        ends = certificate.not_valid_after_utc
        digest = fingerprint(certificate).hex()
        listed.append(
            E.li(*_link(download), f", until {ends:%Y-%m-%d}. ", E.span("SHA-256 ", E.code(digest), {"class": "soft"}))
        )
    return listed


def _link(download: Download) -> list[Content]:
    return [E.a({"href": download.path}, marked(download.title)), *([f": {download.words}"] if download.words else [])]


def _numbers() -> Element:
    """The sandbox's numbers, and how to get the codes that need none."""
    section = titled("numbers", "Numbers of the sandbox")
    rows = [(E.code(line.number), str(line.behaviour), line.words) for line in numbers.table()]
    section.append(table(("Number", "Behaviour", "What happens"), rows))
    section.append(E.h3("Codes that need no number"))
    section.append(
        table(("Result code", "How to get it"), [(E.code(code), words) for code, words in numbers.recipes()])
    )
    return section


def _shown(state: ServiceState) -> Element:
    return E.strong({"class": f"state {state.lower()}"}, state)


def _time(at: datetime) -> Element:
    at = at.astimezone(UTC)
    return E.time({"datetime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}, f"{at:%Y-%m-%d %H:%M:%S} UTC")
