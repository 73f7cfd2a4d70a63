"""Smoke checks: what the trainer computes on a device is what it must be."""
