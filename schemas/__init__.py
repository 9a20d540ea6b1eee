"""The published XML schemas, as package data (the contract's are written by `bankapi contract export`)."""
