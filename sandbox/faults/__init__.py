"""The faults that a user can arm, and the rules that decide when each strikes."""

from sandbox.faults.arming import Arming, Occasion, Subject
from sandbox.faults.board import Armed, Faults
from sandbox.faults.catalogue import FAULTS, named
from sandbox.faults.fault import Fault, FaultUnknown

__all__ = ["FAULTS", "Armed", "Arming", "Fault", "FaultUnknown", "Faults", "Occasion", "Subject", "named"]
