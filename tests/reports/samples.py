"""Reports as a bank gets them, in four languages: what the pages are looked at with."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bankapi.billing.money import Money
from bankapi.languages.texts import texts
from bankapi.reports.document import Bar, Cell, Chart, Column, Document, Row, Table, Unit

ZONE = ZoneInfo("Europe/Moscow")
WORDS = """
title       | Transactions       | Операции            | المعاملات            | 交易明细
dealer      | Dealer             | Дилер               | الوكيل               | 经销商
period      | Period             | Период              | الفترة               | 期间
zone        | Time zone          | Часовой пояс        | المنطقة الزمنية      | 时区
made        | Made at            | Составлен           | تاريخ الإعداد        | 生成时间
time        | Time               | Время               | الوقت                | 时间
reference   | Reference          | Номер операции      | المرجع               | 参考号
payment     | Payment            | Платёж              | الدفعة               | 付款
status      | Status             | Состояние           | الحالة               | 状态
terminal    | Terminal           | Терминал            | الجهاز               | 终端
payer       | Payer              | Плательщик          | الدافع               | 付款人
amount      | Amount             | Сумма               | المبلغ               | 金额
fee         | Fee                | Комиссия            | الرسوم               | 手续费
credited    | Credited           | Зачислено           | المبلغ المقيد        | 入账金额
day         | Day                | День                | اليوم                | 日期
currency    | Currency           | Валюта              | العملة               | 货币
registered  | registered         | зарегистрирован     | مسجلة                | 已登记
cancelled   | cancelled          | отменён             | ملغاة                | 已取消
total       | Total              | Итого               | الإجمالي             | 合计
per_day     | Payments per day   | Платежи по дням     | المدفوعات حسب اليوم  | 每日付款
per_terminal | By terminal       | По терминалам       | حسب الجهاز           | 按终端
totals_per_day | Totals per day  | Итоги по дням       | الإجماليات حسب اليوم | 每日合计
count       | Number of payments | Количество платежей | عدد المدفوعات        | 付款笔数
"""
SPOKEN = ("en", "ru", "ar", "zh")
START = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)


def words(language: str) -> dict[str, str]:
    """What a report's maker says in a language, by name."""
    place = 1 + SPOKEN.index(language)
    lines = [[word.strip() for word in line.split("|")] for line in WORDS.strip().splitlines()]
    return {line[0]: line[place] for line in lines}


def document(language: str, *, rows: int, days: int = 31) -> Document:
    """A report of transactions with two charts and a second table, as wide as they come."""
    said, spoken = words(language), texts(language)

    def transactions() -> Iterator[Row]:
        for number in range(rows):
            at = START + timedelta(minutes=7 * number)
            yield (
                at,
                f"-REF/{number:06d}" if number % 10 == 3 else f"2026-03-POS{number:08d}",
                f"01JNAX{number:020d}",
                said["cancelled" if number % 7 == 5 else "registered"],
                f"ATM-{number % 4:04d}",
                f"7916{number:07d}",
                Money(-(number * 1237 + 10_050) if number % 7 == 5 else number * 1237 + 10_050, "RUB"),
                Money(150, "RUB"),
                Money(number * 1237 + 9_900, "RUB"),
                at.astimezone(ZONE).date(),
            )

    def totals() -> list[list[Cell]]:
        amount = sum(number * 1237 + 10_050 for number in range(rows))
        head: list[Cell] = [said["total"], None, None, None, None, None]
        return [[*head, Money(amount, "RUB"), Money(150 * rows, "RUB"), Money(amount - 150 * rows, "RUB"), None]]

    columns = [
        Column("registered_at", said["time"], Unit.INSTANT),
        Column("reference", said["reference"], Unit.CODE),
        Column("payment_id", said["payment"], Unit.CODE),
        Column("status", said["status"], Unit.TEXT),
        Column("terminal", said["terminal"], Unit.CODE),
        Column("payer", said["payer"], Unit.CODE),
        Column("amount", said["amount"], Unit.MONEY, "currency", said["currency"]),
        Column("fee", said["fee"], Unit.MONEY),
        Column("credited", said["credited"], Unit.MONEY),
        Column("business_on", said["day"], Unit.DAY),
    ]
    per_day = [(date(2026, 3, 1) + timedelta(days=day), (day * 37) % 11 * 1000 + day * 100) for day in range(days)]
    per_terminal = [("ATM-0001", 812_500), ("ATM-0002", 0), ("Центральный вокзал, зал ожидания № 2, у касс", 91_245)]
    daily = Table(
        "days",
        said["totals_per_day"],
        [
            Column("business_on", said["day"], Unit.DAY),
            Column("payments", said["count"], Unit.COUNT),
            Column("amount", said["amount"], Unit.MONEY, "currency", said["currency"]),
        ],
        [(day, count, Money(count * 123_45, "RUB")) for day, count in per_day[:5]],
        lambda: [(said["total"], 99_999, Money(12_345_678_90, "RUB"))],
    )
    main = Table("transactions", said["title"], columns, transactions(), totals)
    facts = [
        (said["dealer"], "Банк «Первый» (First Bank) & Co."),
        (said["period"], f"{spoken.day(date(2026, 3, 1))} – {spoken.day(date(2026, 3, 31))}"),
        (said["zone"], "Europe/Moscow"),
        (said["made"], spoken.instant(START, ZONE)),
    ]
    charts = [
        Chart(said["per_day"], [Bar(spoken.day(day), count, spoken.number(count)) for day, count in per_day]),
        Chart(
            said["per_terminal"],
            [
                Bar(label, minor, spoken.amount(Money(minor, "RUB").to_decimal(), "RUB"))
                for label, minor in per_terminal
            ],
        ),
    ]
    return Document(said["title"], facts, (daily, main), language, ZONE, charts, flat=main)
