"""Counts that outlive a process, as folders that several processes work on; estimates of numbers of cells."""

from regions.runs.probes import CellEstimate, estimate_cells
from regions.runs.run_folder import Run, RunStatus

__all__ = ["CellEstimate", "Run", "RunStatus", "estimate_cells"]
