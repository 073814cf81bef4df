"""Skills of Agent Mesh in a Python process of your own.

A :class:`Worker` registers its skills, dials in, and does what runs ask of it.
"""

from .call import Call, Failure
from .worker import Refused, Worker

__all__ = ["Call", "Failure", "Refused", "Worker"]
