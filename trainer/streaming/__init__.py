"""Streaming keeps images on disk and brings a network its batches of them, read ahead of time."""
