"""Reports for dealers and the operator's finance, and the forms they are written in."""
