"""How is a search measured whose memory must tell of it alone?"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

CaseT = TypeVar("CaseT")
ResultT = TypeVar("ResultT")


def measure_apart(measure: Callable[[CaseT], ResultT], case: CaseT) -> ResultT:
    """Measure a case in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, case).result()
