"""Which errors are the user's to mend?

A command line prints the sentence and exits with 2; any other exception is a defect of the program.
"""


class UserError(Exception):
    """Bad input: its one sentence names the value, the rule it breaks and what to do."""


class DataError(UserError):
    """Images, labels or a prepared file that are missing, damaged or not what was declared."""


class BenchmarkError(UserError):
    """A benchmark that is unknown or declared wrongly."""
