"""One target under atheris, which looks for inputs that reach new code: `fuzz_atheris.py TARGET SECONDS FOLDER`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["relay"]):
    from fuzz_targets import CORPUS, TARGETS


def main() -> None:
    """Run until the time is over or an input breaks something, which is then written to FOLDER."""
    name, seconds, folder = sys.argv[1:]
    options = [f"-max_total_time={seconds}", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={folder}/"]
    atheris.Setup(["fuzz", *options, "-max_len=4096", folder, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
