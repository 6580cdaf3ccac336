"""Pictures that people put in: the gate they pass, and the files they become."""
