"""What `make bench` measures: signed durable payments over mutual TLS, and where the time of one goes."""
