"""The comparison as Markdown."""

from __future__ import annotations

from bench.peers.results import Beside, PeerResults
from metaloop.meta.results import Comparison, OrganizationResult


def markdown(results: PeerResults) -> str:
    """Both sides with their gains, then each organization beside each peer."""
    lines = [
        "| | gain at B, bpb (95 % t interval) | n | against random, paired | trainings | whole | GPU-hours | busy |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    against = results.versus_random
    lines += [_row(found, f"**{found.name}**", against.get(found.name)) for found in results.organizations]
    lines += [_row(found, found.name, against.get(found.name)) for found in results.peers]
    lines += [f"| {name} | not available: {why} | | | | | | |" for name, why in results.unavailable.items()]
    for organization in results.organizations:
        lines += ["", f"### {organization.name}", ""]
        lines.append(
            "| peer | difference, bpb (95 %) | n | p (Holm) | share of B to the peer's final gain | reverse | by B/2 |"
        )
        lines.append("| --- | --- | --- | --- | --- | --- | --- |")
        lines += [_pair(pair) for pair in results.beside if pair.organization == organization.name]
    return "\n".join(lines) + "\n"


def _row(found: OrganizationResult, shown: str, against: Comparison | None) -> str:
    """Trainings, whole ones and GPU-hours are of one run, on average; busy is the share of device time that trains."""
    runs = max(1, len(found.seeds))
    scored = sum(run.gain_bpb is not None for run in found.org_runs)
    gain = "no score" if found.gain_bpb is None else f"{found.gain_bpb:.3f}{_interval(found.gain_ci95)}"
    whole = sum(run.states.get("ok", 0) for run in found.org_runs) / runs
    difference = "" if against is None else f"{against.difference_bpb:+.3f}{_interval(against.ci95)}"
    cells = (
        shown, gain, str(scored), difference, f"{found.experiments / runs:.1f}", f"{whole:.1f}",
        f"{found.gpu_hours / runs:.4f}", f"{100 * found.utilization:.1f} %",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _pair(pair: Beside) -> str:
    p = "" if pair.p_value is None else f"{pair.p_value:.2g}"
    cells = (
        pair.peer, f"{pair.difference:+.3f}{_interval(pair.ci95)}", str(pair.n), p, _share(pair.share_to_reach),
        _share(pair.peer_share_to_reach), f"{pair.seeds_by_half} of {pair.n}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _interval(ci95: tuple[float, float] | None) -> str:
    return "" if ci95 is None else f" [{ci95[0]:.3f}, {ci95[1]:.3f}]"


def _share(share: float | None) -> str:
    return "never" if share is None else f"{share:.2f}"
