"""bankapi: the signed SOAP gateway between external payment systems and a telecom operator's billing.

Read ARCHITECTURE.md first, then `bankapi/gateway/exchange.py`: the way of one request.
"""

__version__ = "0.1.0"
