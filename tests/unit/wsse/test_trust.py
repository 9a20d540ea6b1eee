"""Which certificates may sign, and for how long."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import trust as trust_module
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.trust import TrustAnchors, fingerprint, subject_key_identifier
from tests.unit.wsse.conftest import NOW, Keys, special


def test_the_fingerprint_is_sha256_over_der(keys: Keys) -> None:
    assert fingerprint(keys.rsa.certificate) == keys.rsa.certificate.fingerprint(hashes.SHA256())
    assert keys.trust.check(keys.rsa.certificate, profile=PROFILE_V1, now=NOW) == fingerprint(keys.rsa.certificate)


def test_validity_is_asked_every_time_although_the_rest_is_remembered(keys: Keys) -> None:
    certificate = keys.rsa.certificate
    trust = TrustAnchors([keys.authority.certificate])
    for now, valid in ((NOW, True), (NOW + timedelta(days=800), False), (NOW, True), (NOW - timedelta(days=1), False)):
        if valid:
            trust.check(certificate, profile=PROFILE_V1, now=now)
        else:
            with pytest.raises(Refusal) as refused:
                trust.check(certificate, profile=PROFILE_V1, now=now)
            assert refused.value.rule is Rule.WSSE_CERTIFICATE_VALIDITY


def test_a_certificate_does_not_outlive_its_ca(keys: Keys) -> None:
    certificate = special(keys.authority, keys.rsa.key, end=36500)
    with pytest.raises(Refusal) as refused:
        keys.trust.check(certificate, profile=PROFILE_V1, now=NOW + timedelta(days=3700))
    assert refused.value.rule is Rule.WSSE_CERTIFICATE_VALIDITY


def test_strangers_are_never_remembered_and_friends_only_so_many(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_module, "CHECKED_CERTIFICATES_MAX", 2)
    trust = TrustAnchors([keys.authority.certificate])
    for signer in (keys.rsa, keys.ec, keys.other, keys.rsa):
        trust.check(signer.certificate, profile=PROFILE_V1, now=NOW)
        assert len(trust._windows) <= 2
    before = set(trust._windows)
    for stranger in (*keys.strangers.values(), keys.foreign):
        if stranger in (keys.strangers["expired"], keys.strangers["not-yet-valid"]):
            continue
        with pytest.raises(Refusal):
            trust.check(stranger.certificate, profile=PROFILE_V1, now=NOW)
    assert set(trust._windows) == before


def test_only_ca_certificates_are_anchors(keys: Keys) -> None:
    with pytest.raises(ValueError, match="not a CA"):
        TrustAnchors([keys.rsa.certificate])
    with pytest.raises(ValueError, match="no trust anchor"):
        TrustAnchors([])


def test_a_certificate_may_lack_a_key_identifier(keys: Keys) -> None:
    assert subject_key_identifier(keys.rsa.certificate)
    assert subject_key_identifier(keys.strangers["a-ca"].certificate) is None
