"""Configuration: its types, its composition by Hydra, and the run that it describes."""
