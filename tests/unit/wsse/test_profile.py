"""A security profile says everything, and nothing that cannot be done."""

from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from bankapi.wsse import names
from bankapi.wsse.profile import PROFILE_V1, SecurityProfile


def test_no_option_has_a_default() -> None:
    assert all(f.default is MISSING and f.default_factory is MISSING for f in fields(SecurityProfile))


@pytest.mark.parametrize("option", [f.name for f in fields(SecurityProfile)])
def test_no_option_may_be_empty(option: str) -> None:
    empty: dict[str, Any] = {option: type(getattr(PROFILE_V1, option))()}
    with pytest.raises(ValueError, match=option):
        replace(PROFILE_V1, **empty)


@pytest.mark.parametrize(
    "incoherent",
    [
        {"signature_algorithms": frozenset({names.RSA_SHA256, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"})},
        {"digest_algorithms": frozenset({"http://www.w3.org/2000/09/xmldsig#sha1"})},
        {"canonicalization_algorithm": names.EXC_C14N + "WithComments"},
        {"transform_chains": frozenset({(names.ENVELOPED_SIGNATURE,)})},
        {"elliptic_curves": frozenset({"secp384r1"})},
        {"rsa_bits_min": 1024},
        {"rsa_bits_min": 4096, "rsa_bits_max": 2048},
        {"rsa_bits_max": 16384},
        {"timestamp_life_s_max": 86_400},
        {"clock_skew_s_max": 601},
        {"timestamp_fraction_digits_max": 9},
        {"references_max": 1},
        {"references_max": 1000},
        {"inclusive_prefixes_max": 1000},
        {"token_bytes_max": 1_000_000},
    ],
)
def test_an_incoherent_profile_does_not_come_into_being(incoherent: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(PROFILE_V1, **incoherent)


def test_a_profile_accepts_keys_of_no_other_kind() -> None:
    assert not PROFILE_V1.accepts_key(None)
