"""``python -m cluster.sandbox`` says how untrusted code is contained on this machine; 1 if not."""

from __future__ import annotations

import sys

from cluster.sandbox.layer import Probe, probe


def main() -> int:
    """Print the layer and its parts, why better ones are missing, and what to type."""
    found = probe()
    print(report(found))
    return 0 if found.contains else 1


def report(found: Probe) -> str:
    """Return what a probe found, for people."""
    hides = {
        "bwrap": "bubblewrap hides files, network and processes",
        "unshare": "our own namespaces hide files, network and processes, as bubblewrap would",
        "rlimit-only": "limits, but nothing is hidden: trusted programs only",
    }
    parts = {
        "seccomp filter": found.seccomp,
        "own user": found.own_user,
        "control group": found.control_group,
    }
    lines = [f"sandbox layer: {found.layer} ({hides[found.layer]})"]
    lines += [f"  {name:15} {f'no: {why}' if why else 'yes'}" for name, why in parts.items()]
    for missing in found.missing:
        lines += [f"missing layer: {missing.layer}: {missing.reason}", f"  to do: {missing.remedy}"]
    if not found.contains:
        lines.append("Untrusted programs are refused here; docs/sandbox.md says what to do where.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
