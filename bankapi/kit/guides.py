"""What the kit says to people: its guides filled in for one terminal, and tables that follow from the contract.

`START.md`, `BY-HAND.md` and `CHECKER.md` beside this module have places like @{url}. Tests run every command in them.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from importlib import resources
from string import Template
from textwrap import fill
from typing import Final

from cryptography import x509
from lxml import etree

from bankapi.contract import codes, publication
from bankapi.evidence.exchanges import request_digest
from bankapi.kit import samples
from bankapi.kit.contents import CA, CERTIFICATE, SIGNING, TEST_KEY, YOUR_KEY, Contents
from bankapi.refusals import ResultCode
from bankapi.sandbox import numbers
from bankapi.sandbox.numbers import Behaviour
from bankapi.wsse import names
from bankapi.wsse.trust import fingerprint

_NAME_MAX: Final = 50
"""So much of a terminal's name begins a Reference, which has 64 characters at most; a dot and a time follow."""
_WIDTH: Final = 120
_SHOWN: Final = "RegisterPayment"
"""The sample that the guides take apart."""

_ORDINARY: Final = numbers.number_of(Behaviour.PAYS)
_WITH_TEST_KEY: Final = f"""\
Both are here: the operator made `{TEST_KEY}` for tests. It is worth nothing elsewhere, and for production you make a
key of your own, which never leaves you ("Keys and certificates" below)."""
_WITH_CERTIFICATE: Final = f"""\
`{CERTIFICATE}` is here; its key is with you, where the certificate request was made. Put it here as `{YOUR_KEY}` for
this hour, readable by you alone. The operator has never had it."""
_WITHOUT_CERTIFICATE: Final = f"""\
There is no certificate yet. Make a key and a request as in "Keys and certificates" below; put the certificate that the
operator answers with here as `{CERTIFICATE}`."""

_PAYER: Final = """\
The clients pay 100.00 RUB to 79160000001, a customer of every demo; elsewhere ask the operator for a number, and give
it with `--msisdn`. Another currency is in the client's source."""
_PAYER_OF_SANDBOX: Final = f"""\
{_ORDINARY} is an ordinary customer; `SANDBOX.md` has numbers that answer in every other way."""
_SANDBOX: Final = """
**It is a sandbox.** Nothing that happens in it is real, and nothing in this kit works anywhere else. Certain numbers
answer in an agreed way: late, never, or with each of the codes. They are in `SANDBOX.md`.
"""

BOOKED: Final = (ResultCode.OK,)
DECIDED_AGAINST: Final = (*codes.DECLINES, ResultCode.REFERENCE_VOIDED, ResultCode.ALREADY_CANCELLED)
"""What RegisterPayment answers when nothing of the payment stands, or ever will under this reference."""
UNDECIDED: Final = (
    ResultCode.OPERATION_NOT_ALLOWED,
    ResultCode.REFERENCE_CONFLICT,
    ResultCode.TEMPORARILY_UNAVAILABLE,
)
"""What RegisterPayment answers when it says nothing of an earlier request with the same reference."""


def _coded(listed: Sequence[ResultCode]) -> str:
    return ", ".join(f"`{code}`" for code in listed)


LOST: Final = (
    "A time-out, a broken connection, an HTTP answer without a signed body, or one that your client does not believe: "
    "the answer is lost, and you know nothing of the payment. Keep the payer's money until one of these rules decides.",
    "Send the very same request again, signed anew (a new Timestamp, new ids). The very same means the same Reference, "
    "payer (named by the same element), amount and currency; PaidAt, the fields of the card, and 100 or 100.00 make no "
    "difference. However often you ask, the payment is booked once. Never take a new Reference for the same payment: "
    "that is how a payer pays twice.",
    "Wait 30 seconds for an answer. Repeat after 1, 2, 4 and so on seconds, at last once a minute. Other payments need "
    "not wait meanwhile: several connections are fine.",
    "Two kinds of answer to RegisterPayment decide. `OK`: the payment is booked. "
    f"{_coded(DECIDED_AGAINST)}: nothing of it stands, and nothing ever will under this Reference: return the money. "
    "Decide by Result.Code alone: `ALREADY_CANCELLED` has a PaymentId and Replayed, too.",
    "Nothing else tells what became of an earlier request with this Reference: no fault (a fault speaks of its own "
    f"message only), and none of {_coded(UNDECIDED)}, nor a code that you do not know. Put it right and ask again, or "
    "cancel.",
    "GetPaymentStatus decides by Status: `REGISTERED`: booked. `DECLINED`, `CANCELLED`, `VOIDED`: nothing stands, or "
    "ever will. `NEVER_SEEN` decides nothing: a request that is still on its way is accepted until five minutes after "
    "its Expires, which is up to 15 minutes after its Created.",
    "To return the money without such an answer, send CancelPayment with the Reference first, and again until it is "
    "answered: while it is on its way it can still undo an `OK` or `REGISTERED`. Return the money when its Code is "
    "`OK`: nothing of the payment stands, or ever will, even if it never came. After `CANCEL_WINDOW_CLOSED` or "
    "`FUNDS_ALREADY_USED` the payment stands: do not return it. Any other code, any fault and a lost answer leave it "
    "open: do not return it yet, put it right and ask again.",
)
"""The rules that keep a payer from paying twice, and a bank from giving away what is booked. The first is the case."""


def refusals(key: str) -> Sequence[tuple[str, str]]:
    """What is seen when a request is refused, and what to look at; `key` is the file of the terminal's key."""
    return (
        (
            "the TLS handshake ends with an alert, or the first read does (TLS 1.3). curl: `(56) ... alert certificate "
            "required`, `alert unknown ca`, `alert certificate expired`, `alert certificate revoked`. Behind nginx: "
            "HTTP 400 without a body",
            "the certificate was not sent, is of another CA, has ended or is revoked: "
            f"`openssl verify -CAfile {CA} {CERTIFICATE}`",
        ),
        (
            "your side does not trust the gateway",
            f"trust `{CA}`, not your system's CAs; dial the host name that the address has",
        ),
        (
            "key and certificate do not fit",
            f"`openssl x509 -in {CERTIFICATE} -noout -pubkey` and `openssl pkey -in {key} -pubout` say the same",
        ),
        (
            "fault `SECURITY`",
            "your clock (NTP): Created may be five minutes ahead of ours at most, and a message is taken until five "
            "minutes after its Expires. One signature per message, over Body and Timestamp; nothing changed after "
            "signing. The same signature sent twice: sign every try anew. The key that signs is that of the terminal "
            "whose certificate TLS has, or of any terminal of the channel's dealer; no certificate is revoked, and "
            "nobody is blocked. `CHECKER.md` says what can be seen in the message; the operator sees the rule under "
            "the ExchangeId",
        ),
        ("fault `SCHEMA_VIOLATION`", "its Violations name the places"),
        (
            "fault `MALFORMED_MESSAGE`",
            "SOAP 1.1; SOAPAction is that of the operation, in quotes, or empty or absent",
        ),
        (
            "fault `CARD_NUMBER_PRESENT`",
            "a text looks like a card number; a Reference must not, either",
        ),
        ("any other fault, any Result", "`CODES.md`"),
        (
            "HTTP 500 with a body",
            "a fault, as SOAP 1.1 has it: read and verify it like any answer",
        ),
        (
            "an HTTP status without a body",
            "it is not the gateway's answer, and says nothing of an earlier request. 404 is a wrong path, 405 a wrong "
            "method, 413 a body of more than 512 KiB (over 256 KiB the gateway itself answers with the fault "
            "`MESSAGE_TOO_LARGE`). Any other, 503 and 504 above all, is a lost answer",
        ),
        (
            "your client refuses the answer",
            f"is `{SIGNING}` the one it was signed by, and did nothing between pretty-print it?",
        ),
    )


_OF_CLIENT: Final = f"""\
# One client of bankapi

`clients/@{{stack}}/README.md` is its guide. The files that it names are here, but for two, which are yours; put them
here, too: `{CERTIFICATE}`, the terminal's certificate that the operator gave you, and `@{{key}}`, its private key,
which you made and nobody else has.

`{publication.WSDL_FILE}` has the address of the gateway, `@{{url}}`. `{CA}` and `{SIGNING}` came over the very
connection that they vouch for: ask the operator by another way whether their SHA-256 fingerprints are right
(`openssl x509 -in FILE -outform DER | sha256sum`).
"""

_REPOSITORY: Final = "$BANKAPI/"
_HOME: Final = "$HOME_/"
_SERVING: Final = re.compile(r"^With the demo gateway .*?:$", re.MULTILINE | re.DOTALL)
"""What the clients' guides say of the demo, before their first command."""


class _Guide(Template):
    delimiter = "@"


def start(contents: Contents, stacks: list[str]) -> str:
    """START.md: what is in here, the way to the first payment, and what to do when it fails."""
    filled = {
        "terminal": contents.terminal,
        "dealer": contents.dealer,
        "url": contents.url,
        "key": contents.key,
        "stacks": ", ".join(f"`{stack}`" for stack in stacks),
        "certificate_rows": "\n".join(_certificate_rows(contents)),
        "signing_rows": "\n".join(_signing_rows(contents)),
        "certificate_step": _certificate_step(contents),
        "reference": contents.terminal[:_NAME_MAX],
        "new_key": f"new-{YOUR_KEY}" if contents.terminal_certificates else YOUR_KEY,
        "lost": _lost(),
        "refused": "\n".join(f"| {seen} | {look_at} |" for seen, look_at in refusals(contents.key)),
        "fingerprints": "\n".join(_fingerprints(contents)),
        "sandbox": _SANDBOX if contents.is_sandbox else "",
        "sandbox_row": "| `SANDBOX.md` | the numbers of the sandbox, and how each answers | |"
        if contents.is_sandbox
        else "",
        "payer": _PAYER_OF_SANDBOX if contents.is_sandbox else _PAYER,
        "payer_option": _payer_option(contents.is_sandbox),
        "ends": _ends(contents),
    }
    return _without_blank_rows(_Guide(_read("START.md")).substitute(filled))


def by_hand(url: str) -> str:
    """BY-HAND.md: the security of messages for a stack that has no client here, with a sample taken apart."""
    (shown,) = (sample for sample in samples.all() if sample.name == _SHOWN)
    timestamp, body = _digests(shown.request)
    *_, exchange = _digests(shown.answer)
    return _Guide(_read("BY-HAND.md")).substitute(
        url=url,
        envelope=samples.outline(shown.request).rstrip(),
        timestamp_digest=timestamp,
        body_digest=body,
        request_digest=b64encode(request_digest(shown.request)).decode(),
        exchange_digest=exchange,
    )


def checker(url: str, key: str) -> str:
    """CHECKER.md: the offline commands, with what they print."""
    (shown,) = (sample for sample in samples.all() if sample.name == _SHOWN)
    signer = x509.load_pem_x509_certificate(samples.certificates()[samples.GATEWAY])
    return _Guide(_read("CHECKER.md")).substitute(
        key=key,
        url=url,
        gateway_sha256=fingerprint(signer).hex(),
        request_digest=b64encode(request_digest(shown.request)).decode(),
    )


def client_guide(text: str, *, url: str, key: str, is_sandbox: bool) -> str:
    """A client's guide, whose commands are for a repository and its demo, for a folder like the kit's."""
    places = {
        f"{_REPOSITORY}bankapi/kit/clients/": "../clients/",
        f"{_REPOSITORY}wsdl/bankapi-v1.wsdl": f"../{publication.WSDL_FILE}",
        f"{_HOME}terminals/ATM-0001/cert.pem": f"../{CERTIFICATE}",
        f"{_HOME}terminals/ATM-0001/key.pem": f"../{key}",
        f"{_HOME}ca/ca.pem": f"../{CA}",
        f"{_HOME}gateway/signing-cert.pem": f"../{SIGNING}",
        "HOME_=$BANKAPI/var\n": "",
        publication.ADDRESS: url,
    }
    for place, here in places.items():
        text = text.replace(place, here)
    text = text.replace("--reference MY-1", f"--reference MY-1{_payer_option(is_sandbox)}")
    return _SERVING.sub("In the folder that has `clients` and the certificates:", text)


def of_client(stack: str, *, url: str, key: str) -> str:
    """README.md beside `clients/`, in an archive of one client."""
    return _Guide(_OF_CLIENT).substitute(stack=stack, url=url, key=key)


def sandbox_numbers() -> str:
    """SANDBOX.md: every number, and how to get the codes that need none."""
    return (
        "# The sandbox's numbers\n\n"
        "Each number is Msisdn, AccountNumber and CustomerNumber alike, and answers as it says here whenever you ask.\n"
        f"In `clients/` it is given with `--msisdn`.\n\n{numbers.markdown()}"
    )


def code_tables() -> str:
    """CODES.md: every code of an answer and of a fault."""
    retries = "".join(f"| {retry} | {words} |\n" for retry, words in codes.RETRIES.items())
    return (
        "# Codes\n\n"
        "A business no is an answer with a Result; a technical no is a SOAP Fault with a BankApiFault. Decide by Code, "
        "show Message.\nNew codes may be added: one that you do not know has not done what you asked; do what its "
        "Retry says. After a lost\nanswer it decides nothing, as no fault does: see `START.md`.\n\n"
        f"| Retry | What it means |\n|---|---|\n{retries}\n"
        f"## Results\n\n{publication.result_codes_markdown()}\n"
        f"## Faults\n\n{publication.fault_codes_markdown()}"
    )


def sample_table() -> str:
    """samples/README.md: what each sample shows."""
    rows = "".join(f"| `{sample.name}` | {sample.title} |\n" for sample in samples.all())
    return (
        "# Samples\n\n"
        "Each is a request and the gateway's answer, byte for byte. Indenting one breaks its signature. Every signed\n"
        "part is in canonical form already, with the namespaces it uses: its digest is that of its bytes. They were\n"
        "signed on 1 March 2026, in this order, with throw-away keys whose certificates are here.\n"
        "`../CHECKER.md` shows how to verify them, and `../BY-HAND.md` takes one apart.\n\n"
        f"| -request.xml, -answer.xml | what it shows |\n|---|---|\n{rows}"
    )


def _digests(message: bytes) -> list[str]:
    return [each.text or "" for each in etree.fromstring(message).iter(names.DIGEST_VALUE)]


def _lost() -> str:
    case, *rules = LOST
    numbered = (fill(f"{number}. {rule}", _WIDTH, subsequent_indent="   ") for number, rule in enumerate(rules, 1))
    return "\n".join((fill(case, _WIDTH), "", *numbered))


def _payer_option(is_sandbox: bool) -> str:
    return f" --msisdn {_ORDINARY}" if is_sandbox else ""


def _certificate_step(contents: Contents) -> str:
    if contents.test_key is not None:
        return _WITH_TEST_KEY
    return _WITH_CERTIFICATE if contents.terminal_certificates else _WITHOUT_CERTIFICATE


def _certificate_rows(contents: Contents) -> list[str]:
    rows = [f"| `{CERTIFICATE}` | the terminal's certificate, for TLS and signatures | `--cert` |"]
    if not contents.terminal_certificates:
        rows = [f"| `{CERTIFICATE}` | not here yet: see step 1 | `--cert` |"]
    rows += [
        f"| `{name}` | a certificate that is being replaced; accepted for a while | |"
        for name in contents.certificates()
        if name.startswith("terminal-former")
    ]
    words = "its private key, made for tests" if contents.test_key else "its private key: yours, and not in this kit"
    return [*rows, f"| `{contents.key}` | {words} | `--key` |"]


def _signing_rows(contents: Contents) -> list[str]:
    words = {
        "gateway-next-signing-cert.pem": "answers will be signed with this key: pin it beside the present one, now",
        "gateway-last-signing-cert.pem": "answers were signed with this key until lately",
    }
    return [f"| `{name}` | {words[name]} | |" for name in contents.signing if name != SIGNING]


def _fingerprints(contents: Contents) -> list[str]:
    files = (CA, *contents.signing)
    width = max(len(name) for name in files)
    return [f"{name:<{width}}  {fingerprint(each).hex()}" for name in files for each in contents.certificates()[name]]


def _ends(contents: Contents) -> str:
    if not contents.terminal_certificates:
        return "A certificate is valid for two years. Send the next request some weeks before it ends."
    ends_on = contents.terminal_certificates[0].not_valid_after_utc.date()
    return (
        f"`{CERTIFICATE}` is valid until {ends_on}. Send the operator a request for a new key some weeks before: both\n"
        "are accepted while you change over."
    )


def _without_blank_rows(text: str) -> str:
    """A place in a table that nothing was put into leaves an empty line, which would end the table."""
    return re.sub(r"\|\n\n+(?=\|)", "|\n", text)


def _read(name: str) -> str:
    return resources.files("bankapi.kit").joinpath(name).read_text(encoding="utf-8")
