"""Where inputs come from: the calls that a function is traced with."""
