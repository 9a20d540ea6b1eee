"""The answer: the whole request again, with `DataRs`, `Status`, more references and the `resp_*` attributes added."""

import copy
from collections.abc import Mapping

from lxml import etree

from bankapi.way4.message import BODIES, ROOT

_OURS = ("DataRs", "Status")
"""What a request has no business to say; an echo of it would look like our answer."""


def answer(
    request: etree._Element | None,
    *,
    code: str,
    text: str,
    is_error: bool,
    is_posted: bool = False,
    references: Mapping[str, str] | None = None,
    data: tuple[etree._Element, ...] = (),
) -> etree._Element:
    """The answer to a request; without one a message that says only why.

    `references` are ParmCodes with our own ids. They and `Status` go into the body that was asked, if there is one.
    """
    root = copy.deepcopy(request) if request is not None else etree.Element(ROOT, version="2.0")
    root.tail = None
    response_class = "E" if is_error else "I"
    for name, value in (
        ("direction", "Rs"),
        ("resp_class", response_class),
        ("resp_code", code),
        ("resp_text", text),
    ):
        root.set(name, value)
    bodies = [child for holder in root.iterchildren("MsgData") for child in holder.iterchildren(*BODIES)]
    if len(bodies) == 1:
        _complete(bodies[0], code, text, is_error, is_posted, references or {}, data)
    return root


def written(root: etree._Element) -> bytes:
    """As it goes over the wire."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _complete(
    body: etree._Element,
    code: str,
    text: str,
    is_error: bool,
    is_posted: bool,
    references: Mapping[str, str],
    data: tuple[etree._Element, ...],
) -> None:
    for child in list(body.iterchildren(*_OURS)):
        body.remove(child)
    if references:
        listed = body.find("DocRefSet")
        if listed is None:
            listed = etree.SubElement(body, "DocRefSet")
        for parameter in list(listed.iterchildren("Parm")):
            if (parameter.findtext("ParmCode") or "").strip() in references:
                listed.remove(parameter)
        for parameter_code, value in references.items():
            parameter = etree.SubElement(listed, "Parm")
            etree.SubElement(parameter, "ParmCode").text = parameter_code
            etree.SubElement(parameter, "Value").text = value
    if data:
        etree.SubElement(body, "DataRs").extend(data)
    status = etree.SubElement(body, "Status")
    etree.SubElement(status, "RespClass").text = "Error" if is_error else "Information"
    etree.SubElement(status, "RespCode").text = code
    etree.SubElement(status, "RespText").text = text
    if is_posted:
        etree.SubElement(status, "PostingStatus").text = "Posted"
