"""Colours and type of the report, light and dark, and the colours of organizations."""

from __future__ import annotations

PALETTE = 8
"""Colours for organizations and authors; beyond that they repeat, and labels tell them apart."""

COLOURS = """
:root {
  --page: #fbfaf7; --card: #ffffff; --ink: #1d2129; --soft: #5c6470; --faint: #e7e5df; --line: #d5d2c9;
  --keep: #1a7f4b; --bad: #c2410c; --dot: #b9bcc2; --accent: #2f5fd0; --idle: #f0eee8; --stand: #efe3c2;
  --c0: #2f5fd0; --c1: #d9730d; --c2: #1a7f4b; --c3: #a8328f;
  --c4: #b4342d; --c5: #0f8390; --c6: #7a5af0; --c7: #84730b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1c1f25; --ink: #e8e9ec; --soft: #a2a8b3; --faint: #2a2e36; --line: #3a3f49;
    --keep: #4cc38a; --bad: #ff8b5c; --dot: #5b626e; --accent: #86a8ff; --idle: #23272e; --stand: #3c3521;
    --c0: #86a8ff; --c1: #ffab61; --c2: #4cc38a; --c3: #e58ad2;
    --c4: #ff8f87; --c5: #4fc4d1; --c6: #b3a0ff; --c7: #d8c34f;
  }
}
"""

PICTURES = """
.picture { width: 100%; height: auto; display: block; font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
.picture text { fill: var(--soft); font-size: 12px; }
.picture .title { fill: var(--soft); font-size: 12px; font-weight: 600; }
.picture .name { fill: var(--ink); font-size: 12.5px; font-weight: 600; }
.picture .kept-label { fill: var(--keep); font-size: 11px; font-weight: 600; }
.picture .false-label { fill: var(--bad); font-size: 11px; font-weight: 600; }
.picture .grid { stroke: var(--faint); stroke-width: 1; }
.picture .axis { stroke: var(--line); stroke-width: 1; }
.picture .leader { stroke: var(--line); stroke-width: 1; fill: none; }
.picture .best { stroke: var(--keep); stroke-width: 2; fill: none; }
.picture .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.picture .run { fill: none; stroke-width: 1; opacity: 0.35; }
.picture .control { stroke-dasharray: 7 5; }
.picture .kept { fill: var(--keep); stroke: var(--card); stroke-width: 1.5; }
.picture .false { fill: var(--card); stroke: var(--bad); stroke-width: 2.5; }
.picture .discarded { fill: var(--dot); opacity: 0.75; }
.picture .branch { fill: var(--c0); }
.picture .incumbent { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.picture .failed { stroke: var(--bad); stroke-width: 1.8; }
.picture .stopped { stroke: var(--soft); stroke-width: 1.6; }
.picture .idle { fill: var(--idle); }
.picture .stand-up { fill: var(--stand); }
.picture .incumbent-bar { fill: none; stroke: var(--ink); stroke-width: 1; }
.picture .lost { fill: var(--bad); }
.picture .bar { stroke: var(--card); stroke-width: 0.6; }
.picture .zero { stroke: var(--soft); stroke-width: 1; }
.picture .whisker { stroke-width: 2; }
"""

PAGE = """
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif;
}
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 52px 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 15px; margin: 26px 0 8px; }
p { margin: 0 0 12px; max-width: 78ch; }
.lead, .note { color: var(--soft); }
.note { font-size: 13.5px; }
.card {
  background: var(--card); border: 1px solid var(--faint); border-radius: 10px; padding: 18px 20px;
  margin: 12px 0 22px; overflow-x: auto;
}
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th {
  text-align: right; color: var(--soft); font-weight: 600; padding: 6px 10px;
  border-bottom: 1px solid var(--line); white-space: nowrap;
}
td {
  text-align: right; padding: 7px 9px; border-bottom: 1px solid var(--faint); white-space: nowrap;
  vertical-align: top;
}
tr:last-child td { border-bottom: 0; }
th.text, td.text { text-align: left; }
td.prose { text-align: left; white-space: normal; min-width: 200px; }
td .soft, .soft { color: var(--soft); font-weight: 400; }
.badge {
  display: inline-block; font-size: 11.5px; font-weight: 600; padding: 0 7px; border-radius: 9px;
  border: 1px solid var(--line); color: var(--soft); margin-left: 6px;
}
.badge.bad { color: var(--bad); border-color: var(--bad); }
.badge.good { color: var(--keep); border-color: var(--keep); }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 8px; }
.legend {
  display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; color: var(--soft);
  margin: 4px 0 10px;
}
.legend svg { display: inline-block; width: 15px; height: 15px; vertical-align: -3px; margin-right: 5px; }
nav { margin: 18px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 14px; }
a { color: var(--accent); }
details summary { cursor: pointer; color: var(--soft); font-size: 14px; margin: 6px 0; }
td pre { max-width: 34rem; white-space: pre-wrap; overflow-wrap: anywhere; text-align: left; font-size: 12px; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, monospace; }
footer { margin-top: 60px; color: var(--soft); font-size: 13px; }
"""


def colour(index: int) -> str:
    """CSS colour number ``index``."""
    return f"var(--c{index % PALETTE})"


def standalone(svg: str) -> str:
    """A picture as a page of its own."""
    style = f"{COLOURS}{PICTURES}body {{ margin: 20px; background: var(--card); }}"
    return f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><style>{style}</style><body>{svg}</body></html>\n'
