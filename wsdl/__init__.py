"""The published WSDL, as package data (written by `bankapi contract export`)."""
