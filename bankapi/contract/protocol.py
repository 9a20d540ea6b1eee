"""Spyne over trees: a protocol whose document is one element, and a transport that is a function call.

No bytes, envelopes, hrefs, xsi:type, HTTP or MTOM: of Spyne's protocols only the mapping between elements and
objects is left, which is the part that the models describe.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

from lxml import etree
from spyne import Application, Boolean, DateTime, MethodContext
from spyne import Decimal as DecimalModel
from spyne.protocol.xml import XmlDocument
from spyne.server import ServerBase

from bankapi.contract.types import NAMESPACE

PREFIX: Final = "bank"


class TreeProtocol(XmlDocument):  # type: ignore[misc]
    """XmlDocument for `document/literal bare`, with the contract's own lexical forms of values."""

    type: Final = {"soap", "soap11", "xml"}
    """Spyne chooses the WSDL binding (SOAP 1.1) by these."""

    def __init__(self) -> None:
        super().__init__(parse_xsi_type=False, cleanup_namespaces=False)
        # Spyne asks this about every element; its own answer goes through a logger, a weak dictionary and __getattr__.
        self.get_cls_attrs = _AttributesOf(super().get_cls_attrs).__getitem__
        self._from_unicode_handlers[DecimalModel] = lambda _, text: Decimal(text)
        self._from_unicode_handlers[DateTime] = lambda _, text: datetime.fromisoformat(text.strip()).astimezone(UTC)
        self._to_unicode_handlers[DecimalModel] = lambda _, value: format(value, "f")
        self._to_unicode_handlers[DateTime] = lambda _, value: utc_text(value)
        self._to_unicode_handlers[Boolean] = lambda _, value: "true" if value else "false"

    def get_polymorphic_target(self, cls: Any, _: Any) -> tuple[Any, bool]:
        """No type of the contract has subtypes."""
        return cls, False

    def modelbase_to_parent(self, _: Any, cls: Any, value: Any, parent: Any, ns: str, name: str, **__: Any) -> None:
        """A simple element, made in place; Spyne makes it elsewhere and moves it."""
        etree.SubElement(parent, f"{{{ns}}}{name}").text = self.to_unicode(cls, value)

    def null_to_parent(self, *_: Any, **__: Any) -> None:
        """Nothing: the contract knows no nil. Of a choice, Spyne would write the members that are not there, too."""

    def xmldata_to_parent(self, _: Any, cls: Any, value: Any, parent: Any, *__: Any, **___: Any) -> None:
        """The text of an element with attributes; Spyne gives lxml encoded bytes, which it takes in ASCII only."""
        parent.text = self.to_unicode(cls.type, value)

    def serialize(self, ctx: Any, _: Any) -> None:
        """Write the answer, which in bare style is the only member of `ctx.out_object`."""
        ctx.out_document = self.write(ctx.descriptor.out_message, ctx.out_object[0])

    def write(self, model: Any, value: Any) -> etree._Element:
        """One element, in our namespace only, that belongs to no other tree."""
        holder = etree.Element("holder", nsmap={PREFIX: NAMESPACE})
        self.to_parent(None, model, value, holder, NAMESPACE)
        element = holder[0]
        holder.remove(element)
        return element


class _Attributes(SimpleNamespace):
    """What Spyne knows of a model; None for what it does not."""

    def __getattr__(self, _: str) -> None:
        return None


class _AttributesOf(dict[Any, _Attributes]):
    """Model → its attributes, asked of Spyne once."""

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, model: Any) -> _Attributes:
        attributes = self[model] = _Attributes(**dict(self._ask(model).items()))
        return attributes


class TreeContext(MethodContext):  # type: ignore[misc]
    """The state of one call. There is no transport, and nothing is ever frozen."""

    TransportContext = None
    __setattr__ = object.__setattr__


class TreeApplication(Application):  # type: ignore[misc]
    """A Spyne application that lets exceptions pass: a swallowed one would commit half a payment."""

    def process_request(self, ctx: Any) -> None:
        ctx.out_object = [ctx.function(ctx, ctx.in_object)]


class TreeServer(ServerBase):  # type: ignore[misc]
    """The transport of `TreeApplication`: a function call with the child of a SOAP Body."""

    transport = "http://schemas.xmlsoap.org/soap/http"
    """The URI that the WSDL binding names (WSDL 1.1 section 3.3)."""

    def perform(self, request: etree._Element, state: Any) -> Any:
        """Call the method that the element names; the context comes back with what it answered."""
        ctx = TreeContext(self, TreeContext.SERVER)
        ctx.udc = state
        ctx.in_document = request
        protocol = self.app.in_protocol
        protocol.decompose_incoming_envelope(ctx, protocol.REQUEST)
        (ctx,) = protocol.generate_method_contexts(ctx)
        protocol.deserialize(ctx, protocol.REQUEST)
        self.app.process_request(ctx)
        self.app.out_protocol.serialize(ctx, protocol.RESPONSE)
        return ctx


def utc_text(instant: datetime) -> str:
    """An aware instant as the contract writes it: UTC, whole milliseconds, Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
