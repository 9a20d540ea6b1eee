"""What an operator watches: counters in the request's way, gauges from the database beside it, and who serves both.

Its place among the packages: above those that keep what it asks for (reports, evidence, notices), below the gateway
and the adapters, which tell it what they do.
"""
