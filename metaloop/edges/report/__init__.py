"""The report: one self-contained HTML file that shows what a run's organizations did and what it was worth."""

from __future__ import annotations

from pathlib import Path

from metaloop.edges.report.story import Story, tell
from metaloop.files import journal
from metaloop.files.run_folder import RunFolder
from metaloop.meta.measure import measure_run
from metaloop.meta.results import Results


def write_report(path: Path) -> Path:
    """Measure the run's folder, finished or not, and write its ``report.html``.

    Raises:
        FileError: it is not the folder of a run, or one of its files is damaged.
    """
    from metaloop.edges.report.page import write_page

    results = measure_run(path)
    target = RunFolder(path).report
    temporary = target.with_name(f".{target.name}")
    temporary.write_text(write_page(results, stories(results)), encoding="utf-8")
    temporary.replace(target)
    return target


def stories(results: Results) -> dict[tuple[str, int], Story]:
    """The stories of all org runs that have begun, by organization and seed."""
    folder = RunFolder(Path(results.out))
    told = {}
    for organization in results.organizations:
        for run in organization.org_runs:
            story = tell(journal.read(folder.org_run(organization.name, run.seed).journal))
            if story is not None:
                told[organization.name, run.seed] = story
    return told
