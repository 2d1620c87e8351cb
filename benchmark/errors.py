"""The one exception whose message is meant for the person at the keyboard."""


class UserError(Exception):
    """Something the user can mend: one line that says what is wrong, where, and what to do.

    The command line prints the message without a traceback and ends with exit status 2.
    """
