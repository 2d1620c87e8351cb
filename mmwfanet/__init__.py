"""MMWFAnet, usable alone: ``from mmwfanet import MMWFAnet``."""

from mmwfanet.model import MMWFAnet

__all__ = ["MMWFAnet"]
