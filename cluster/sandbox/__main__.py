"""``python -m cluster.sandbox`` prints the layer that contains untrusted code here; 1 without."""

import sys

from cluster.sandbox.layer import probe


def main() -> int:
    """Print the layer, or why there is none and what to type."""
    found = probe()
    if found.layer:
        print(f"sandbox layer: {found.layer}")
        return 0
    print(f"no sandbox layer: {found.reason}\nto do: {found.install}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
