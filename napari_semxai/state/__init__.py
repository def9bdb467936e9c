"""The session: the single source of truth of one viewer."""
