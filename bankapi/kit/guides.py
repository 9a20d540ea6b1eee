"""What the kit says to people: its guides filled in for one terminal, and tables that follow from the contract.

`START.md` and `CHECKER.md` beside this module have places like @{url}. Tests run every command in them.
"""

import re
from base64 import b64encode
from importlib import resources
from string import Template
from typing import Final

from cryptography import x509

from bankapi.contract import codes, publication
from bankapi.evidence.exchanges import request_digest
from bankapi.kit import samples
from bankapi.kit.contents import CA, CERTIFICATE, SIGNING, TEST_KEY, YOUR_KEY, Contents
from bankapi.sandbox import numbers
from bankapi.sandbox.numbers import Behaviour
from bankapi.wsse.trust import fingerprint

_REFERENCE_MAX: Final = 60

_ORDINARY: Final = numbers.number_of(Behaviour.PAYS)
_WITH_TEST_KEY: Final = f"""\
Both are here: the operator made `{TEST_KEY}` for tests. It is worth nothing elsewhere, and for production you make a
key of your own, which never leaves you."""
_WITH_CERTIFICATE: Final = f"""\
`{CERTIFICATE}` is here; its key is with you, where the certificate request was made. Put it here as `{YOUR_KEY}` for
this hour, readable by you alone. The operator has never had it."""
_WITHOUT_CERTIFICATE: Final = f"""\
There is no certificate yet. Make a key, which never leaves you, and a request, which is all the operator needs:

```sh
openssl req -new -newkey rsa:3072 -nodes -keyout {YOUR_KEY} -out terminal.csr -subj /CN=@{{terminal}}
```

(P-256 is accepted, too, if your stack signs with ECDSA-SHA256; the clients in here sign with RSA.) Send `terminal.csr`
to the operator, who answers it with a certificate of this terminal (`bankapi terminal enrol`), whatever name the
request bears: put it here as `{CERTIFICATE}`."""


_PAYER: Final = """\
The clients pay 100.00 RUB to 79160000001, a customer of every demo; elsewhere ask the operator for a number, and give
it with `--msisdn`. Another currency is in the client's source."""
_PAYER_OF_SANDBOX: Final = f"""\
{_ORDINARY} is an ordinary customer; `SANDBOX.md` has numbers that answer in every other way."""
_SANDBOX: Final = """
**It is a sandbox.** Nothing that happens in it is real, and nothing in this kit works anywhere else. Certain numbers
answer in an agreed way: late, never, or with each of the codes. They are in `SANDBOX.md`.
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
        "reference": f"{contents.terminal[:_REFERENCE_MAX]}-1",
        "stacks": ", ".join(f"`{stack}`" for stack in stacks),
        "certificate_rows": "\n".join(_certificate_rows(contents)),
        "signing_rows": "\n".join(_signing_rows(contents)),
        "certificate_step": _Guide(_certificate_step(contents)).substitute(terminal=contents.terminal),
        "fingerprints": "\n".join(_fingerprints(contents)),
        "sandbox": _SANDBOX if contents.is_sandbox else "",
        "sandbox_row": "| `SANDBOX.md` | the numbers of the sandbox, and how each answers | |"
        if contents.is_sandbox
        else "",
        "payer": _PAYER_OF_SANDBOX if contents.is_sandbox else _PAYER,
        "payer_option": _payer_option(contents),
        "ends": _ends(contents),
    }
    return _without_blank_rows(_Guide(_read("START.md")).substitute(filled))


def checker(contents: Contents) -> str:
    """CHECKER.md: the offline commands, with what they print."""
    (shown,) = (sample for sample in samples.all() if sample.name == "RegisterPayment")
    signer = x509.load_pem_x509_certificate(samples.certificates()[samples.GATEWAY])
    return _Guide(_read("CHECKER.md")).substitute(
        key=contents.key,
        url=contents.url,
        gateway_sha256=fingerprint(signer).hex(),
        request_digest=b64encode(request_digest(shown.request)).decode(),
    )


def client_guide(text: str, contents: Contents) -> str:
    """A client's guide, whose commands are for a repository and its demo, for the kit's folder."""
    places = {
        f"{_REPOSITORY}bankapi/kit/clients/": "../clients/",
        f"{_REPOSITORY}wsdl/bankapi-v1.wsdl": f"../{publication.WSDL_FILE}",
        f"{_HOME}terminals/ATM-0001/cert.pem": f"../{CERTIFICATE}",
        f"{_HOME}terminals/ATM-0001/key.pem": f"../{contents.key}",
        f"{_HOME}ca/ca.pem": f"../{CA}",
        f"{_HOME}gateway/signing-cert.pem": f"../{SIGNING}",
        "HOME_=$BANKAPI/var\n": "",
        publication.ADDRESS: contents.url,
    }
    for place, here in places.items():
        text = text.replace(place, here)
    text = text.replace("--reference MY-1", f"--reference MY-1{_payer_option(contents)}")
    return _SERVING.sub("In the folder of the kit:", text)


def sandbox_numbers() -> str:
    """SANDBOX.md: every number, and how to get the codes that need none."""
    return (
        "# The sandbox's numbers\n\n"
        "Each number is Msisdn, AccountNumber and CustomerNumber alike, and answers likewise however often you ask.\n"
        f"In `clients/` it is given with `--msisdn`.\n\n{numbers.markdown()}"
    )


def code_tables() -> str:
    """CODES.md: every code of an answer and of a fault."""
    retries = "".join(f"| {retry} | {words} |\n" for retry, words in codes.RETRIES.items())
    return (
        "# Codes\n\n"
        "A business no is an answer with a Result; a technical no is a SOAP Fault with a BankApiFault. Decide by Code, "
        "show Message.\nNew codes may be added: take one that you do not know as a no, and do what its Retry says.\n\n"
        f"| Retry | What it means |\n|---|---|\n{retries}\n"
        f"## Results\n\n{publication.result_codes_markdown()}\n"
        f"## Faults\n\n{publication.fault_codes_markdown()}"
    )


def sample_table() -> str:
    """samples/README.md: what each sample shows."""
    rows = "".join(f"| `{sample.name}` | {sample.title} |\n" for sample in samples.all())
    return (
        "# Samples\n\n"
        "Each is a request and the gateway's answer, byte for byte. Indenting one breaks its signature. They were\n"
        "signed on 1 March 2026, in this order, with throw-away keys whose certificates are here.\n"
        "`../CHECKER.md` shows how to verify them.\n\n"
        f"| -request.xml, -answer.xml | what it shows |\n|---|---|\n{rows}"
    )


def _payer_option(contents: Contents) -> str:
    return f" --msisdn {_ORDINARY}" if contents.is_sandbox else ""


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
    names = (CA, *contents.signing)
    width = max(len(name) for name in names)
    return [
        f"{name:<{width}}  {fingerprint(each).hex(':').upper()}"
        for name in names
        for each in contents.certificates()[name]
    ]


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
