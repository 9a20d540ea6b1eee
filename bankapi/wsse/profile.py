"""The security profile: what a signed message may use, every option written out.

There is no default and no switch that turns a check off: a profile only narrows what is accepted. An empty or
incoherent profile does not come into being.
"""

from dataclasses import dataclass, fields

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bankapi.wsse import names

# What the code knows how to verify; a profile chooses among these.
_SIGNATURES = frozenset({names.RSA_SHA256, names.ECDSA_SHA256})
_DIGESTS = frozenset({names.SHA256})
_TRANSFORMS = frozenset({(names.EXC_C14N,), (names.ENVELOPED_SIGNATURE, names.EXC_C14N)})
_CURVES = frozenset({ec.SECP256R1.name})
RSA_BITS_FLOOR = 2048
"""No profile may go below: NIST SP 800-131A revision 2, section 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityProfile:
    """Algorithms and limits of WS-Security as the published policy states them (design section 4)."""

    signature_algorithms: frozenset[str]
    digest_algorithms: frozenset[str]
    canonicalization_algorithm: str
    transform_chains: frozenset[tuple[str, ...]]
    """Exclusive c14n comes last (BSP R5412); enveloped-signature before it changes nothing in our positions."""
    rsa_bits_min: int
    rsa_bits_max: int
    """A verification costs the square of the key's length."""
    elliptic_curves: frozenset[str]
    timestamp_life_s_max: int
    clock_skew_s_max: int
    timestamp_fraction_digits_max: int
    """BSP R3220 and R3229 say 3. Python clients (zeep with a Timestamp of `datetime.isoformat`) send 6."""
    references_max: int
    inclusive_prefixes_max: int
    """Namespace prefixes in one PrefixList: canonicalization costs prefixes times elements."""
    token_bytes_max: int
    """Length of a decoded certificate."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name):
                raise ValueError(f"the security profile leaves {field.name} empty")
        if not self.signature_algorithms <= _SIGNATURES or not self.digest_algorithms <= _DIGESTS:
            raise ValueError("the security profile names an algorithm that is not implemented")
        if self.canonicalization_algorithm != names.EXC_C14N or not self.transform_chains <= _TRANSFORMS:
            raise ValueError("only exclusive canonicalization is implemented")
        if not self.elliptic_curves <= _CURVES:
            raise ValueError("ECDSA-SHA256 goes with the curve P-256")
        if not RSA_BITS_FLOOR <= self.rsa_bits_min <= self.rsa_bits_max <= 8192:
            raise ValueError(f"RSA keys are {RSA_BITS_FLOOR} to 8192 bits, the minimum not above the maximum")
        if not 1 <= self.timestamp_life_s_max <= 3600 or not 1 <= self.clock_skew_s_max <= self.timestamp_life_s_max:
            raise ValueError("a timestamp lives an hour at most, and the skew is not above its life")
        if not 1 <= self.timestamp_fraction_digits_max <= 6:
            raise ValueError("timestamps have 1 to 6 fraction digits: ours have microseconds")
        if not 2 <= self.references_max <= 32 or not 1 <= self.inclusive_prefixes_max <= 64:
            raise ValueError("Body and Timestamp need two references; more than 32, or 64 prefixes, cost too much")
        if not 1024 <= self.token_bytes_max <= 65536:
            raise ValueError("a certificate takes 1 to 64 KiB")

    def accepts_key(self, key: object) -> bool:
        """Is this public key of a type and size that the profile allows?"""
        if isinstance(key, rsa.RSAPublicKey):
            return (
                names.RSA_SHA256 in self.signature_algorithms and self.rsa_bits_min <= key.key_size <= self.rsa_bits_max
            )
        if isinstance(key, ec.EllipticCurvePublicKey):
            return names.ECDSA_SHA256 in self.signature_algorithms and key.curve.name in self.elliptic_curves
        return False


PROFILE_V1 = SecurityProfile(
    signature_algorithms=frozenset({names.RSA_SHA256, names.ECDSA_SHA256}),
    digest_algorithms=frozenset({names.SHA256}),
    canonicalization_algorithm=names.EXC_C14N,
    transform_chains=frozenset({(names.EXC_C14N,), (names.ENVELOPED_SIGNATURE, names.EXC_C14N)}),
    rsa_bits_min=2048,
    rsa_bits_max=4096,
    elliptic_curves=frozenset({"secp256r1"}),
    timestamp_life_s_max=600,
    clock_skew_s_max=300,
    timestamp_fraction_digits_max=6,
    references_max=8,
    inclusive_prefixes_max=32,
    token_bytes_max=8192,
)
"""The profile of contract version 1."""
