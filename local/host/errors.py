"""What stops the host from starting."""


class StartError(Exception):
    """The app or its settings cannot be run; the message tells the developer what to mend."""
