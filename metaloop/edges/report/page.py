"""The report's page: one HTML file with its style and pictures inside, that asks nothing of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from metaloop.edges.leaderboard import Leaderboard, footnotes
from metaloop.edges.leaderboard_cells import false_share, hours, interval, rate, signed
from metaloop.edges.report.charts import anytime_chart, experiments_chart, gain_chart
from metaloop.edges.report.story import Story, describe
from metaloop.edges.report.style import COLOURS, PAGE, PICTURES, colour
from metaloop.edges.report.svg import tag
from metaloop.edges.report.timeline import WHY, timeline_chart
from metaloop.edges.thinking_table import COLUMNS, TITLE, anybody_thinks, thinking_notes
from metaloop.files.run_folder import RunTerms
from metaloop.meta.results import ConfirmedMerge, IdeaFate, OrganizationResult, OrgRunResult, Results, hardware_of
from metaloop.vocabulary.code import diff_lines

Cell = tuple[str, str]
"""Class and inner HTML of a table cell."""

LEAST_SHARE = 0.0005
"""Idle time that the table leaves out."""

LEGEND = (
    ("kept", '<circle cx="7" cy="7" r="5" class="kept"/>', "merged"),
    ("false", '<circle cx="7" cy="7" r="5" class="false"/>', "merged, and not borne out by confirmation"),
    ("discarded", '<circle cx="7" cy="7" r="3.2" class="discarded"/>', "discarded, or still to be judged"),
    ("incumbent", '<circle cx="7" cy="7" r="4.5" class="incumbent"/>', "the head itself"),
    ("failed", '<path d="M3 3L11 11M3 11L11 3" class="failed"/>', "diverged, crashed or caught cheating (no score)"),
    ("stopped", '<path d="M3 3L11 11M3 11L11 3" class="stopped"/>', "screened out"),
    ("best", '<path d="M0 7H14" class="best"/>', "best kept so far"),
)


def write_page(results: Results, stories: Mapping[tuple[str, int], Story]) -> str:
    """The whole page; ``stories`` by organization and seed."""
    terms, organizations = results.terms, results.organizations
    title = f"{', '.join(terms.organizations[:3])}{' …' if len(terms.organizations) > 3 else ''}"
    body = [
        tag("h1", escape(f"Organizations compared: {title}")),
        tag("p", escape(_terms_line(terms) + _hardware(organizations)), class_="lead"),
        _navigation(organizations),
        _summary(results),
        *(_organization(index, o, stories) for index, o in enumerate(organizations)),
        tag("footer", f"Made by metaloop {escape(terms.version)} with <code>{escape(terms.command)}</code>"),
    ]
    style = tag("style", COLOURS + PAGE + PICTURES)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{tag("title", escape(f"metaloop: {title}"))}{style}'
    )
    page = tag("html", tag("head", head) + tag("body", tag("main", "\n".join(body))), lang="en")
    return f"<!doctype html>\n{page}\n"


def _terms_line(terms: RunTerms) -> str:
    seeds = f"{terms.seeds} org runs (seeds {terms.seed} to {terms.seed + terms.seeds - 1})"
    seeds = f"one org run (seed {terms.seed})" if terms.seeds == 1 else seeds
    where = f"Simulated (cluster {terms.cluster['name']}): " if terms.cluster else ""
    return (
        f"{where}{terms.trainer} {terms.preset} on {terms.data}; each organization got {seeds} of "
        f"{terms.gpu_hours:.3g} GPU-hours on {terms.devices_in_words}. Every trunk "
        f"commit was retrained by the harness on {terms.confirm_pairs} fresh paired seeds and scored on data that no "
        "organization has seen."
    )


def _hardware(organizations: Sequence[OrganizationResult]) -> str:
    known = hardware_of(organizations)
    return f" The devices: {', '.join(known)}." if known else ""


def _navigation(organizations: Sequence[OrganizationResult]) -> str:
    return tag("nav", "".join(tag("a", escape(o.name), href=f"#{_anchor(o.name)}") for o in organizations))


def _anchor(name: str) -> str:
    return "org-" + "".join(c if c.isalnum() else "-" for c in name)


def _card(inner: str) -> str:
    return tag("div", inner, class_="card")


def _table(headings: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    head = tag("tr", "".join(tag("th", text, class_=class_ or None) for class_, text in headings))
    lines = ("".join(tag("td", text, class_=class_ or None) for class_, text in row) for row in rows)
    return tag("table", tag("thead", head) + tag("tbody", "".join(tag("tr", line) for line in lines)))


def _summary(results: Results) -> str:
    organizations = results.organizations
    parts = [tag("h2", "Leaderboard"), _card(_leaderboard(organizations))]
    notes = footnotes(Leaderboard(organizations, (), ()))
    parts.append(tag("p", "<br>".join(escape(f"{line}.") for line in notes), class_="note"))
    if any(o.gain_bpb is not None for o in organizations):
        parts.append(_card(gain_chart(organizations)))
    if any(run.anytime for o in organizations for run in o.org_runs):
        parts += [
            tag("h2", "Gain over GPU-hours"),
            tag(
                "p",
                "Confirmed gain of the best trunk commit so far. GPU-hours are allocated time: reserved devices × wall "
                "time, idle time included. Controls are dashed; thin lines are single org runs.",
                class_="lead",
            ),
            _card(anytime_chart(organizations, results.terms.gpu_hours)),
        ]
    return "\n".join([*parts, *_thinking(organizations)])


def _leaderboard(organizations: Sequence[OrganizationResult]) -> str:
    names = [
        "gain (bpb)",
        "per GPU-h",
        "vs control",
        "GPU-h",
        "used",
        "trained",
        "false merges",
        "area",
        "h to control",
    ]
    headings = [("text", "organization"), *(("", name) for name in names)]
    return _table(headings, (_leaderboard_row(index, o) for index, o in enumerate(organizations)))


def _thinking(organizations: Sequence[OrganizationResult]) -> list[str]:
    """What thinking brought and cost, where anybody thought."""
    if not anybody_thinks(organizations):
        return []
    headings = [("text", "organization"), *(("", heading) for heading, _ in COLUMNS)]
    rows = ([_name(index, o), *(("", escape(cell(o))) for _, cell in COLUMNS)] for index, o in enumerate(organizations))
    told = tag("p", "<br>".join(escape(f"{line}.") for line in thinking_notes(organizations)), class_="note")
    return [tag("h2", TITLE), _card(_table(headings, rows)), told]


def _name(index: int, o: OrganizationResult) -> Cell:
    swatch = f'<span class="swatch" style="background: {colour(index)}"></span>'
    badge = tag("span", "control", class_="badge") if o.control else ""
    return "text", f"{swatch}<strong>{escape(o.name)}</strong>{badge}"


def _leaderboard_row(index: int, o: OrganizationResult) -> list[Cell]:
    against = o.versus_control
    return [
        _name(index, o),
        ("", _value_and_interval(o.gain_bpb, o.gain_ci95)),
        ("", rate(o.gain_per_gpu_hour)),
        ("", _value_and_interval(against.difference_bpb, against.ci95) if against else "–"),
        ("", hours(o.gpu_hours)),
        ("", f"{o.utilization:.1%}"),
        ("", str(o.experiments)),
        ("", false_share(o)),
        ("", signed(o.anytime_area)),
        ("", hours(o.gpu_hours_to_best_control)),
    ]


def _value_and_interval(value: float | None, ci95: tuple[float, float] | None) -> str:
    text = tag("strong", signed(value)) if value is not None else "not yet"
    return f"{text}<br>{tag('span', interval(ci95), class_='soft')}" if ci95 else text


def _organization(index: int, o: OrganizationResult, stories: Mapping[tuple[str, int], Story]) -> str:
    swatch = f'<span class="swatch" style="background: {colour(index)}"></span>'
    parts = [tag("h2", f"{swatch}{escape(o.name)}", id=_anchor(o.name))]
    if not o.org_runs:
        parts.append(tag("p", "Not begun.", class_="lead"))
    for position, run in enumerate(o.org_runs):
        story = stories.get((o.name, run.seed))
        if story is None:
            continue
        content = _org_run(run, story)
        if position == 0:
            parts.append(content)
        else:
            summary = f"Seed {run.seed}: {_headline(run)}"
            parts.append(tag("details", tag("summary", escape(summary)) + content))
    return "\n".join(parts)


def _headline(run: OrgRunResult) -> str:
    gain = "not confirmed yet" if run.gain_bpb is None else f"gain {signed(run.gain_bpb)} {interval(run.gain_ci95)}"
    failed = sum(count for state, count in run.states.items() if state != "ok")
    return (
        f"{gain}, {run.experiments} trainings ({failed} without a score), {run.merges} merges, "
        f"{run.false_merges} false, {hours(run.gpu_hours)} GPU-hours, {run.utilization:.1%} used"
    )


def _org_run(run: OrgRunResult, story: Story) -> str:
    authors = {author.name: index for index, author in enumerate(story.authors)}
    ended = "" if story.account.ended else tag("span", "under way", class_="badge")
    parts = [
        tag("p", f"Seed {run.seed}: {escape(_headline(run))}.{ended}", class_="lead"),
        tag("h3", "Experiments"),
        _card(_legend() + experiments_chart(story, run)),
        tag("h3", "Devices"),
        _card(_author_legend(authors, story) + timeline_chart(story, authors) + _canaries(run) + _waiting(run)),
        tag("h3", "Who earned what"),
        _card(_earnings(run, story, authors)),
        tag("h3", "Research record"),
        _card(_record(run)) if run.merge_records else tag("p", "Nothing was merged.", class_="lead"),
        *((tag("h3", "Ideas"), _card(_ideas(run))) if run.ideas else ()),
    ]
    return "\n".join(parts)


def _canaries(run: OrgRunResult) -> str:
    """What canary trainings said of the devices."""
    if not run.canaries:
        return ""
    off = (
        f"{d.device} was set aside after {d.seconds:.1f} s, because {d.reason} ({len(d.suspects)} trainings finished "
        "there since its last good one)."
        for d in run.off_devices
    )
    said = " ".join([f"{run.canaries} canary trainings.", *off, *([] if run.off_devices else ["No device was off."])])
    return tag("p", escape(said), class_="lead")


def _waiting(run: OrgRunResult) -> str:
    """What the paid devices idled for."""
    allocated = run.gpu_hours * 3600
    headings = [("text", "idle for"), ("text", "whom"), ("", "device-seconds"), ("", "share of all")]
    rows = (
        [("text", WHY[w.cause]), ("text", escape(w.who or "nobody")), ("", f"{w.seconds:.4g}"), ("", f"{share:.1%}")]
        for w in run.waiting
        if (share := w.seconds / allocated) >= LEAST_SHARE
    )
    return _table(headings, rows)


def _legend() -> str:
    items = (
        tag("span", f'<svg class="picture" viewBox="0 0 14 14">{mark}</svg>{escape(text)}') for _, mark, text in LEGEND
    )
    return tag("div", "".join(items), class_="legend")


def _author_legend(authors: Mapping[str, int], story: Story) -> str:
    def item(style: str, text: str) -> str:
        return tag("span", f'<span class="swatch" style="{style}"></span>{escape(text)}')

    items = [item(f"background: {colour(index)}", name) for name, index in authors.items()]
    items.append(item("border: 1px solid var(--ink)", "the head itself"))
    items.append(item("background: var(--idle)", "idle, and paid for"))
    if story.stand_ups:
        items.append(item("background: var(--stand)", "stand-up"))
    if story.lost:
        items.append(item("background: var(--bad)", "lost attempt"))
    return tag("div", "".join(items), class_="legend")


def _earnings(run: OrgRunResult, story: Story, authors: Mapping[str, int]) -> str:
    """Confirmed gain by author: minus the sum of the confirmed deltas of its merges, so the rows add up to the gain."""
    earned: dict[str, float] = {}
    for merge in run.merge_records:
        earned[merge.author] = earned.get(merge.author, 0.0) - (merge.confirmed_delta or 0.0)
    headings = [("text", "author"), *(("", h) for h in ("proposed", "trained", "merged", "accepted", "confirmed gain"))]
    confirmed = run.unconfirmed_merges < run.merges

    def row(name: str, proposed: int, trained: int, merged: int) -> list[Cell]:
        swatch = f'<span class="swatch" style="background: {colour(authors.get(name, 0))}"></span>'
        share = f"{merged / trained:.0%}" if trained else "–"
        gain = signed(earned.get(name, 0.0)) if confirmed else "–"
        numbers = (str(proposed), str(trained), str(merged), share, gain)
        return [("text", swatch + escape(name)), *(("", number) for number in numbers)]

    ranked = sorted(story.authors, key=lambda a: -earned.get(a.name, 0.0))
    return _table(headings, (row(a.name, a.proposed, a.trained, a.merged) for a in ranked))


def _record(run: OrgRunResult) -> str:
    headings = [
        ("", "GPU-h"), ("text", "change"), ("", "measured delta"), ("", "confirmed delta"), ("", "trunk's gain"),
        ("text", "proposed by"), ("text", "merged by"), ("text", "commit"),
    ]  # fmt: skip
    return _table(headings, (_record_row(merge) for merge in run.merge_records))


def _ideas(run: OrgRunResult) -> str:
    """Where ideas came from and what became of them. Links were checked to be http when they were found."""
    headings = [("text", h) for h in ("idea", "from", "what became of it")]
    headings += [("", "measured delta"), ("", "confirmed delta")]
    return _table(headings, map(_idea_row, run.ideas))


def _idea_row(fate: IdeaFate) -> list[Cell]:
    source = escape(fate.source)
    place = tag("a", source, href=fate.link, rel="noreferrer") if fate.link.startswith("http") else source
    with_others = " with others" if fate.shared else ""
    confirmed = "" if fate.confirmed_delta is None else signed(fate.confirmed_delta)
    return [
        ("prose", escape(fate.text)),
        ("text", place),
        ("text", escape(f"{fate.status}{with_others} {', '.join(fate.proposals)}")),
        ("", "" if fate.delta is None else signed(fate.delta)),
        ("", f"{confirmed}<br>{tag('span', interval(fate.confirmed_ci95), class_='soft')}"),
    ]


def _diff(merge: ConfirmedMerge) -> str:
    """The code that a merge changed, to be unfolded."""
    if not merge.edits:
        return ""
    blocks = [f"{edit.path}\n" + "\n".join(diff_lines(edit)) for edit in merge.edits]
    return tag("details", tag("summary", "code") + tag("pre", escape("\n\n".join(blocks))))


def _record_row(merge: ConfirmedMerge) -> list[Cell]:
    repeats = "1 seed" if merge.repeats == 1 else f"{merge.repeats} seeds"
    measured = f"{signed(merge.delta)}<br>{tag('span', interval(merge.ci95) or repeats, class_='soft')}"
    badge = ""
    if merge.confirmed_delta is not None:
        kind = ("bad", "false") if merge.false_merge else ("good", "proven") if merge.proven else ("", "unproven")
        badge = tag("span", kind[1], class_=f"badge {kind[0]}".strip())
    confirmed = "not yet" if merge.confirmed_delta is None else signed(merge.confirmed_delta) + badge
    return [
        ("", f"{merge.gpu_hours:.4f}"),
        ("prose", escape(describe(merge.changes, 8)) + _diff(merge)),
        ("", measured),
        ("", f"{confirmed}<br>{tag('span', interval(merge.confirmed_ci95), class_='soft')}"),
        ("", signed(merge.trunk_gain)),
        ("text", escape(merge.author)),
        ("text", escape(merge.actor)),
        ("text", tag("code", escape(merge.commit))),
    ]
