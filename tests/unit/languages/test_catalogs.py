"""The catalogs agree with the source, and every text fits its place in every language.

What the source says is found by Babel, as a translator's tool would find it.
"""

import io
import string
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import bankapi
from bankapi.cli import atm
from bankapi.contract import types as contract
from bankapi.contract.messages import RECEIPT_LINES_MAX
from bankapi.languages import catalog, receipts, sms
from bankapi.languages.columns import columns
from bankapi.languages.texts import LANGUAGES, Texts, message, own_name, supported, texts
from bankapi.refusals import FaultCode, ResultCode

ROOT = Path(bankapi.__file__).parent
TRANSLATED = LANGUAGES[1:]
KEYWORDS = {Texts.gettext.__name__: None, Texts.ngettext.__name__: (1, 2), message.__name__: None}
LARGEST = Decimal("-9999999999999.99")
WORST = {
    "amount": "-9 999 999 999 999,99 RUB",
    "minimum": "15 000,00 RUB",
    "maximum": "15 000,00 RUB",
    "currency": "RUB",
    "count": 10,
    "number": "999999999999999",
    "card": "**** 9999",
    "name": "A*** B. C.",
}
"""What stands in a line of the ATM's screen; a longer name goes on in the next line."""
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet of 3GPP TS 23.038, without its extension, whose characters count twice."""

Id = str | tuple[str, ...]


@cache
def sentences() -> dict[Id, set[str]]:
    """Every sentence of the source, with the files it stands in."""
    found: dict[Id, set[str]] = {}
    for file, _, sentence, _, _ in extract_from_dir(ROOT, [("**.py", "python")], keywords=KEYWORDS):
        found.setdefault(sentence, set()).add(file)
    return found


@cache
def translations(language: str) -> Catalog:
    file = ROOT / "languages" / "catalogs" / f"{language}.po"
    return read_po(io.BytesIO(file.read_bytes()), locale=language, abort_invalid=True)


def messages(language: str) -> Iterator[Message]:
    return (each for each in translations(language) if each.id)


def forms(of: Id) -> tuple[str, ...]:
    return (of,) if isinstance(of, str) else tuple(of)


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_there_is_one_catalog_for_each_language() -> None:
    assert {file.stem for file in (ROOT / "languages" / "catalogs").iterdir()} == set(TRANSLATED)
    assert {"en", "ru", "uk", "kk", "de", "fr", "es", "tr", "ar", "zh"} <= set(LANGUAGES)
    assert {"Done.", "Payer: {payer}", "Pay"} < sentences().keys()


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalog_has_the_sources_sentences_and_no_others(language: str) -> None:
    known = {each.id for each in messages(language)}
    assert sentences().keys() - known == set(), "missing in the catalog"
    assert known - sentences().keys() == set(), "no longer in the source"
    assert not translations(language).obsolete
    assert not [each.id for each in messages(language) if each.fuzzy]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_form_is_translated_with_the_same_placeholders(language: str) -> None:
    expected = translations(language).num_plurals
    for each in messages(language):
        assert len(forms(each.string)) == (expected if each.pluralizable else 1), each.id
        for form in forms(each.string):
            assert form.strip() == form != "", each.id
            assert placeholders(form) == placeholders(forms(each.id)[-1]), (each.id, form)
            assert not {"Cc", "Cf", "Zl", "Zp"} & set(map(unicodedata.category, form)), each.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_plural_forms_tell_apart_what_the_language_does(language: str) -> None:
    """Two numbers that CLDR puts into different classes may share a form in gettext, but not the other way round."""
    rule, gettext = Locale(language).plural_form, texts(language)._catalog
    classes: dict[str, set[str]] = {}
    for number in range(1, 200):
        form = gettext.ngettext("Last {count} transaction:", "Last {count} transactions:", number)
        classes.setdefault(rule(number), set()).add(form)
    assert all(len(found) == 1 for found in classes.values()), classes


@pytest.mark.parametrize(
    ("language", "count", "expected"),
    [
        ("en", 1, "Last 1 transaction:"),
        ("ru", 1, "Последняя 1 операция:"),
        ("ru", 3, "Последние 3 операции:"),
        ("ru", 10, "Последние 10 операций:"),
        ("fr", 2, "2 dernières opérations :"),
        ("ar", 2, "آخر عمليتين (2):"),
        ("ar", 7, "آخر 7 عمليات:"),
        ("zh", 7, "最近 7 笔交易："),
    ],
)
def test_numbers_have_their_plural(language: str, count: int, expected: str) -> None:
    assert texts(language).ngettext("Last {count} transaction:", "Last {count} transactions:", count) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_fit_the_contract(language: str) -> None:
    said = [catalog.result_message(code, language) for code in ResultCode]
    said += [catalog.fault_message(code, language) for code in FaultCode]
    for sentence, spoken in said:
        assert spoken == language
        assert 0 < len(sentence) <= contract.Sentence.Attributes.max_len
        assert "\n" not in sentence
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receipt_fits_the_paper(language: str) -> None:
    widest = receipts.Receipt(
        dealer="D" * 64,
        terminal="T" * 64,
        registered_at=datetime(2026, 12, 30, 23, 59, 59, tzinfo=UTC),
        zone=ZoneInfo("America/St_Johns"),
        payer="9" * 20,
        amount=(LARGEST, "RUB"),
        credited=(LARGEST, "CLF"),
        reference="R" * 64,
        payment_id="7" * 26,
    )
    lines = receipts.receipt_lines(texts(language), widest)
    assert len(lines) <= RECEIPT_LINES_MAX
    for line in lines:
        assert 0 < columns(line) <= receipts.COLUMNS_MAX, line
        assert len(line) <= contract.ReceiptLine.Attributes.max_len
        assert line.isprintable()
    assert "".join(lines).count("R" * 16) >= 4, "nothing is cut off"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("tell", [sms.payment_registered, sms.payment_cancelled])
@pytest.mark.parametrize("balance", [None, LARGEST])
def test_an_sms_fits_two_parts(language: str, tell: Callable[..., str], balance: Decimal | None) -> None:
    text = tell(texts(language), amount=LARGEST, currency="RUB", dealer="D" * 64, payment_id="7" * 26, balance=balance)
    is_gsm = set(text) <= GSM_7
    assert len(text) <= 2 * (153 if is_gsm else 67), text
    assert is_gsm or language in ("ru", "uk", "kk", "ar", "zh"), set(text) - GSM_7


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_atms_lines_fit_its_screen(language: str) -> None:
    of_atm = [each for each, files in sentences().items() if "cli/atm.py" in files]
    assert len(of_atm) > 30
    spoken = texts(language)
    for each in of_atm:
        for form in forms(each):
            said = spoken.gettext(form) if isinstance(each, str) else spoken.ngettext(*each, 10)
            line = said.format_map(WORST)
            assert columns(line) <= atm.COLUMNS_MAX, line


def test_amounts_are_written_as_the_language_does() -> None:
    written = {language: texts(language).amount(Decimal("-1234567.50"), "EUR") for language in LANGUAGES}
    assert written == {
        "en": "-EUR 1,234,567.50",
        "ru": "-1 234 567,50 EUR",
        "uk": "-1 234 567,50 EUR",
        "kk": "-1 234 567,50 EUR",
        "de": "-1.234.567,50 EUR",
        "fr": "-1 234 567,50 EUR",
        "es": "-1.234.567,50 EUR",
        "tr": "-EUR 1.234.567,50",
        "ar": "-1,234,567.50 EUR",
        "zh": "-EUR 1,234,567.50",
    }


@pytest.mark.parametrize(("amount", "currency"), [("5000", "JPY"), ("1.000", "KWD"), ("0.0001", "CLF")])
def test_an_amount_keeps_its_currencys_decimals(amount: str, currency: str) -> None:
    for language in LANGUAGES:
        written = texts(language).amount(Decimal(amount), currency)
        assert "".join(filter(str.isdigit, written)) == amount.replace(".", "")
        assert currency in written


@pytest.mark.parametrize("language", LANGUAGES)
def test_instants_are_in_the_zone_asked_for_and_printable_everywhere(language: str) -> None:
    at = datetime(2026, 2, 28, 22, 30, tzinfo=UTC)
    written = texts(language).instant(at, ZoneInfo("Europe/Moscow"))
    assert "+0300" in written
    assert "2026" in written
    assert "28" not in written, "it is the first of March there"
    assert not {"Cf", "Cc"} & set(map(unicodedata.category, written))
    assert "\xa0" not in written


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        *[(language, language) for language in LANGUAGES],
        ("ru-RU", "ru"),
        ("RU", "ru"),
        ("zh-Hans", "zh"),
        ("zh-Hans-CN", "zh"),
        ("de-AT", "de"),
        ("en-GB-oxendict", "en"),
        ("tlh", None),
        ("rus", None),
        ("x-ru", None),
        ("", None),
    ],
)
def test_a_tag_leads_to_the_language_there_is(tag: str, language: str | None) -> None:
    assert supported(tag) == language
    assert catalog.result_message(ResultCode.OK, tag)[1] == (language or "en")


def test_values_are_never_read_as_placeholders() -> None:
    assert texts("en").gettext("Payer: {payer}", payer="{amount}{0}") == "Payer: {amount}{0}"


def test_languages_call_themselves_by_their_own_names() -> None:
    names = [own_name(language) for language in LANGUAGES]
    assert names[:2] == ["English", "Русский"]
    assert len(set(names)) == len(names)


def test_no_two_lines_of_a_menu_are_alike() -> None:
    for language, pair in product(LANGUAGES, [("Pay", "Cancel"), ("Finish", "Another language")]):
        assert len({texts(language).gettext(each) for each in pair}) == 2
