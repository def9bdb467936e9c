"""The networks: SAM 2 and what loads it. Imported by the engine and the command line only."""
