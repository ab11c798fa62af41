"""The phantom: people whose cerebellum is made by formula, for tests, demo and benchmarks.

No map that anyone drew may be shipped, so the truth here is a set of formulas with the published
sizes (`cerebellum`), set into the MNI152 template (`head`), posed and scanned by seed (`people`) and
written as a BIDS dataset (`cohort`).
"""

from cerebatch.simulation.phantom.cerebellum import VOLUMES_CM3, template_case
from cerebatch.simulation.phantom.cohort import write_cohort
from cerebatch.simulation.phantom.people import Phantom, person

__all__ = ["VOLUMES_CM3", "Phantom", "person", "template_case", "write_cohort"]
