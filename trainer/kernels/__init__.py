"""Triton kernels train and test the CIFAR ResNets, which have too few channels for cuDNN."""
