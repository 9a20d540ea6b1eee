"""The fonts that reports on paper embed; see README.txt."""
