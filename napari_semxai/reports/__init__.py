"""Figures and tables to files: matplotlib without windows."""
