"""The sandbox: an installation for integrators, in which certain numbers answer in a way that is agreed beforehand."""
