"""How far two networks are apart on a domain: as one network with two branches, exactly."""

from regions.analysis.differences.joint_networks import JointNetwork, joint_network
from regions.analysis.differences.network_differences import NetworkDifference, compare_networks

__all__ = ["JointNetwork", "NetworkDifference", "compare_networks", "joint_network"]
