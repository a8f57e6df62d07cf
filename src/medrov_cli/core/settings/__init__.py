"""Settings of the commands: choices, values, groups, one dataclass per command."""
