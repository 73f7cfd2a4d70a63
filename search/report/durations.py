"""Durations in words and as on a clock."""


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss or m:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def rough_duration(seconds: float) -> str:
    """Return a length of time as people say it, in two digits."""
    if seconds < 100:
        return f"about {seconds:.0f} s"
    for unit, length in (("minutes", 60), ("hours", 3600)):
        if seconds < 100 * length or unit == "hours":
            number = seconds / length
            return f"about {number:.{0 if number >= 9.5 else 1}f} {unit}"
    raise AssertionError
