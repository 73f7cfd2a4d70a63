"""The spending of a run's budget: hours of this attempt, device-hours of all of them."""

import time

from search.config.budget import Budget
from spaces.parts.words import number_of


class Spending:
    """The spending counts what a run has used of its budget.

    Attributes:
        device_share: the part of a device that a trial holds while it trains.
        hours_before: device-hours of training before this attempt.
        seconds: of training in it.
        trained_epochs: epochs recorded in this attempt.
        repeated_epochs: recorded epochs that were to be trained again from a checkpoint.
        expected_seconds: all that was left was to take so long when it began; None if unknown.
    """

    def __init__(self, budget: Budget, device_share: float = 1.0) -> None:
        self.budget, self.device_share = budget, device_share
        self.started = time.monotonic()
        self.hours_before = 0.0
        self.seconds = 0.0
        self.trained_epochs = 0
        self.repeated_epochs = 0
        self.expected_seconds: float | None = None

    def add_epoch(self, seconds: float) -> None:
        """Count an epoch of this attempt, which took so long."""
        self.trained_epochs += 1
        self.seconds += seconds

    @property
    def device_hours(self) -> float:
        """Hours of training over all attempts, each trial by its share of a device."""
        return self.hours_before + self.hours_of(self.seconds)

    def hours_of(self, seconds: float) -> float:
        """Return the device-hours of so much training."""
        return seconds * self.device_share / 3600

    def seconds_left(self) -> float | None:
        """Return the rest of the hours, None without a limit."""
        if self.budget.hours is None:
            return None
        return max(0.0, self.started + 3600 * self.budget.hours - time.monotonic())

    def out_of_gpu_hours(self) -> bool:
        return self.budget.gpu_hours is not None and self.device_hours >= self.budget.gpu_hours

    def out_of_time(self) -> bool:
        """Whether the hours or the GPU-hours are used up."""
        return self.out_of_gpu_hours() or self.seconds_left() == 0

    def used_up(self) -> str | None:
        """Return which hours are used up; None if there are some left, or no limit."""
        if self.out_of_gpu_hours():
            return (
                f"the budget of {number_of(self.budget.gpu_hours or 0, 'GPU-hour', 'g')} is used up"
            )
        if self.seconds_left() == 0:
            return f"the budget of {number_of(self.budget.hours or 0, 'hour', 'g')} is used up"
        return None

    def search_had_its_share(self) -> bool:
        """Whether the rest of the hours, or of the GPU-hours, is the confirmation's."""
        budget, share = self.budget, self.budget.search_share
        hours = (time.monotonic() - self.started) / 3600
        past = budget.hours is not None and hours >= share * budget.hours
        if budget.gpu_hours is not None:
            past = past or self.device_hours >= share * budget.gpu_hours
        return past
