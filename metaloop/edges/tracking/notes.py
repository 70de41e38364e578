"""What people read and look at in MLflow: run descriptions in Markdown, and the report's pictures as artifacts.

Pictures are HTML files because the UI shows those, and shows no SVG.
"""

from __future__ import annotations

from metaloop.edges.leaderboard_cells import rate
from metaloop.edges.report.charts import anytime_chart, experiments_chart, gain_chart
from metaloop.edges.report.story import Story, describe
from metaloop.edges.report.style import standalone
from metaloop.edges.report.timeline import timeline_chart
from metaloop.edges.thinking_table import COLUMNS, TITLE, anybody_thinks
from metaloop.meta.results import OrgRunResult, Results


def comparison_pictures(results: Results) -> dict[str, str]:
    """The pictures of a whole run, by place among the artifacts."""
    shown = results.organizations
    return {
        "pictures/gains.html": standalone(gain_chart(shown)),
        "pictures/anytime.html": standalone(anytime_chart(shown, results.terms.gpu_hours)),
    }


def org_run_pictures(run: OrgRunResult, story: Story) -> dict[str, str]:
    """The pictures of an org run, by place among the artifacts."""
    authors = {author.name: index for index, author in enumerate(story.authors)}
    return {
        "pictures/experiments.html": standalone(experiments_chart(story, run)),
        "pictures/devices.html": standalone(timeline_chart(story, authors)),
    }


def leaderboard_note(results: Results) -> str:
    """The run's description in the UI: its leaderboard, as Markdown."""
    lines = ["| organization | confirmed gain (bpb) | 95 % interval | per GPU-hour |", "| --- | --- | --- | --- |"]
    for o in results.organizations:
        gain = "not yet" if o.gain_bpb is None else f"{o.gain_bpb:+.4f}"
        interval = f"{o.gain_ci95[0]:+.4f} to {o.gain_ci95[1]:+.4f}" if o.gain_ci95 else ""
        per_hour = "" if o.gain_per_gpu_hour is None else rate(o.gain_per_gpu_hour)
        lines.append(f"| {o.name}{' (control)' if o.control else ''} | {gain} | {interval} | {per_hour} |")
    if anybody_thinks(results.organizations):
        headings = ("organization", *(heading for heading, _ in COLUMNS))
        lines += ["", f"**{TITLE}**", "", f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
        lines += [f"| {' | '.join((o.name, *(cell(o) for _, cell in COLUMNS)))} |" for o in results.organizations]
    return "\n".join(lines)


def record_note(run: OrgRunResult) -> str:
    """The org run's description in the UI: its merges, as Markdown."""
    lines = ["| GPU-hours | change | measured | confirmed | proposed by |", "| --- | --- | --- | --- | --- |"]
    for merge in run.merge_records:
        measured = "" if merge.delta is None else f"{merge.delta:+.4f}"
        confirmed = "not yet" if merge.confirmed_delta is None else f"{merge.confirmed_delta:+.4f}"
        false = " **false**" if merge.false_merge else ""
        change = describe(merge.changes, 4).replace("|", "/")
        lines.append(f"| {merge.gpu_hours:.4f} | {change} | {measured} | {confirmed}{false} | {merge.author} |")
    return "\n".join(lines) if run.merge_records else "Nothing was merged."
