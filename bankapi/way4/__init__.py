"""The Way4 adapter: UFX messages at `/way4`, the same operations and the same books as over SOAP.

Public subset, not certified by OpenWay: built on what public code of several users of UFX shows, and on nothing else.
"""

LABEL = "public subset, not certified by OpenWay"
