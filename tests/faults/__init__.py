"""What `make crash` shows: nothing that was acknowledged is lost or doubled, whatever is killed at whatever moment."""
