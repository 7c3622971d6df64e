"""`python -m seqcli`: the same as the command `seqcli`."""

from seqcli.cli.app import main

if __name__ == "__main__":
    main()
