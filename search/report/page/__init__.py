"""Report of a run as one HTML page that needs no network: charts in SVG, their data behind them."""

from search.report.page.write import report_html, write_report

__all__ = ["report_html", "write_report"]
