"""Pages that the gateway serves to people, in a real browser with a terminal's certificate."""
