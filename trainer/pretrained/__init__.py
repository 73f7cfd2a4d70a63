"""Pretrained networks: weights from a file of the user's, under a head that is new."""
