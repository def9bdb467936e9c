"""Dock widgets: views of the session that call the controllers."""
