"""Request of a command line: what its options ask for."""

import argparse
from dataclasses import fields

from search.api.words import request_of
from search.config.request import Request


def options_request(options: argparse.Namespace) -> Request:
    """Return what the options of a search ask for."""
    return request_of({field.name: getattr(options, field.name) for field in fields(Request)})
