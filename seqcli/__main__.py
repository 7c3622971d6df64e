"""`python -m seqcli`, and the command `seqcli`."""

import sys


def main() -> None:
    """Run the command line and exit. Ctrl-C is quiet already while its modules are read."""
    try:
        from seqcli.cli import app
    except KeyboardInterrupt:
        sys.exit(130)
    app.main()


if __name__ == "__main__":
    main()
