"""Figures, tables and reports to files: matplotlib and HTML without windows."""
