"""What training does to the cells of a network: exact numbers and estimates at chosen steps.

`tracker` is the callback for a training loop, `records` makes one record, `history` holds them all;
drawing is left to `plotting`.
"""

from regions.validation.tracking.history import History, Record, Series
from regions.validation.tracking.records import QUANTITIES, TrackSettings
from regions.validation.tracking.tracker import Tracker, log_steps, track

__all__ = ["QUANTITIES", "History", "Record", "Series", "TrackSettings", "Tracker", "log_steps", "track"]
