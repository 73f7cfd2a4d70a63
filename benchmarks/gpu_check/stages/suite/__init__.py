"""Suite of the tests that need a GPU, run so that one that hangs costs no other."""
