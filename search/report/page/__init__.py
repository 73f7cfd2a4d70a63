"""Report of a run as one HTML page that needs no network: charts in SVG, their data behind them."""

from search.report.page.write import write_report

__all__ = ["write_report"]
