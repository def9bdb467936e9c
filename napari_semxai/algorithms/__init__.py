"""Arrays in, arrays out: the published algorithms and what they stand on."""
