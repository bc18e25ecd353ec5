"""Print the packages installed here as pins; what exists for Linux on x86-64 only gets a marker (``make lock``)."""

import importlib.metadata
import sys

LINUX_ONLY = ("nvidia-", "cuda-", "triton", "faiss-gpu")
MARKER = " ; sys_platform == 'linux' and platform_machine == 'x86_64'"
ELSEWHERE = " ; sys_platform != 'linux' or platform_machine != 'x86_64'"
NOT_PINNED = {"imagetracks", "pip", "setuptools", "wheel"}


def pins() -> list[str]:
    """``name==version`` of every distribution, sorted, with markers."""
    found = {
        dist.metadata["Name"].lower().replace("_", "-"): dist.version for dist in importlib.metadata.distributions()
    }
    lines = []
    for name, version in sorted(found.items()):
        if name not in NOT_PINNED:
            lines.append(f"{name}=={version.split('+')[0]}{MARKER if name.startswith(LINUX_ONLY) else ''}")
    lines.append(f"faiss-cpu=={found['faiss-gpu']}{ELSEWHERE}")
    return lines


if __name__ == "__main__":
    print("# Written by `make lock`; `make install` installs exactly this.  Ranges are in pyproject.toml.")
    print(f"# Python {sys.version_info.major}.{sys.version_info.minor}, Linux x86-64.")
    print("\n".join(pins()))
