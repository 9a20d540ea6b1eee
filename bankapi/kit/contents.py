"""What of an installation goes into a terminal's kit, and under which names.

Certificates are certificates here, not files: a private key that strayed into one of the home's PEM files goes nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

CA: Final = "ca.pem"
CERTIFICATE: Final = "terminal-cert.pem"
FORMER: Final = "terminal-former-cert-{}.pem"
YOUR_KEY: Final = "terminal-key.pem"
"""Never in a kit: what the guides call the key that the bank made."""
TEST_KEY: Final = "TEST-ONLY-terminal-key.pem"
SIGNING: Final = "gateway-signing-cert.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One terminal's kit, before it is written."""

    terminal: str
    dealer: str
    url: str
    """Of the SOAP service, as callers dial it."""
    authorities: Sequence[x509.Certificate]
    """Every CA that is trusted; more than one during a rollover."""
    terminal_certificates: Sequence[x509.Certificate]
    """Those that are accepted, the one to use first; none when none was enrolled yet."""
    signing: Mapping[str, x509.Certificate]
    """File name → the certificates that answers are, will be and were signed by; `SIGNING` is the present one."""
    is_sandbox: bool
    test_key: bytes | None = None
    """PEM of the first terminal certificate's key; only ever one that was made for a test."""

    @property
    def key(self) -> str:
        """What the guides call the file of the terminal's key."""
        return YOUR_KEY if self.test_key is None else TEST_KEY

    def certificates(self) -> dict[str, list[x509.Certificate]]:
        """File name → certificates."""
        names = (CERTIFICATE, *(FORMER.format(number) for number in range(1, len(self.terminal_certificates))))
        return {
            CA: list(self.authorities),
            **{name: [each] for name, each in zip(names, self.terminal_certificates, strict=False)},
            **{name: [each] for name, each in self.signing.items()},
        }
