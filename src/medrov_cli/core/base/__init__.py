"""Foundation: errors, constants, files, plug-ins, ordered work. Standard library only."""
