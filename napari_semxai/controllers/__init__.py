"""The verbs: a gesture calls one, it asks, and replaces one value in the session."""
