"""Diagnosis tells how sure a network is, what it confuses, and which classes it learns."""
