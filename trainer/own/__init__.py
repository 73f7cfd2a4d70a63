"""Trainings of a user's own: a function in any framework, on any network and any data."""
