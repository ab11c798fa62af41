"""`python -m cerebatch`: the command line, where the program `cerebatch` is not on the path."""

from cerebatch.cli.main import main

if __name__ == "__main__":
    main()
