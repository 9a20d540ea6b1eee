"""Changes to a message on its way: small functions over a tree, to be combined by the tables of attacks."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

from tests.attacks.arena import Scene
from tests.messages import NS, WSU, change, one

Edit = Callable[[Any], object]
BODY, SECURITY, SIGNATURE = "/*/soap:Body", "//wsse:Security", "//ds:Signature"
TIMESTAMP, TOKEN, INFO = "//wsu:Timestamp", "//wsse:BinarySecurityToken", "//ds:SignedInfo"


def after_signing(edit: Edit) -> Callable[[Scene], bytes]:
    """A good signed message, changed."""
    return lambda scene: change(scene.signed(), edit)


def wrapping(edit: Callable[[Any, Any], object]) -> Callable[[Scene], bytes]:
    """The signed Body is taken out, a forged one stands in its place; `edit(envelope, signed)` hides the signed one."""

    def build(scene: Scene) -> bytes:
        def wrap(envelope: Any) -> None:
            signed = one(envelope, BODY)
            envelope.replace(signed, element("soap:Body", scene.forged, 'wsu:Id="forged"'))
            edit(envelope, signed)

        return change(scene.signed(), wrap)

    return build


def element(tag: str, inner: str = "", attributes: str = "") -> Any:
    prefix = tag.partition(":")[0]
    declarations = " ".join(f'xmlns:{p}="{uri}"' for p, uri in NS.items())
    known = "" if prefix in NS else ' xmlns:x="urn:x"'
    return etree.fromstring(f"<{tag} {declarations}{known} {attributes}>{inner}</{tag}>")


def within(tag: str, content: Any, attributes: str = "") -> Any:
    """An element around another."""
    outer = element(tag, attributes=attributes)
    outer.append(content)
    return outer


def fresh_timestamp(envelope: Any) -> Any:
    """An unsigned Timestamp where it is looked for; the signed one is taken out and returned."""
    signed = one(envelope, TIMESTAMP)
    fresh = deepcopy(signed)
    fresh.set(f"{{{WSU}}}Id", "fresh")
    signed.getparent().replace(signed, fresh)
    return signed


def text(path: str, value: str) -> Edit:
    return lambda envelope: setattr(one(envelope, path), "text", value)


def field(name: str) -> str:
    """The path of a field of the request, by its local name."""
    return f"/*/soap:Body//*[local-name()='{name}']"


def attribute(path: str, name: str, value: str) -> Edit:
    return lambda envelope: one(envelope, path).set(name, value)


def add(path: str, *elements: Any, at: int = 1000) -> Edit:
    def edit(envelope: Any) -> None:
        for number, new in enumerate(elements):
            one(envelope, path).insert(at + number, deepcopy(new))

    return edit


def twice(path: str) -> Edit:
    return lambda envelope: one(envelope, path).addnext(deepcopy(one(envelope, path)))


def without(path: str) -> Edit:
    return lambda envelope: one(envelope, path).getparent().remove(one(envelope, path))
