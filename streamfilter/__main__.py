"""`python -m streamfilter` is the command line."""

from streamfilter.cli import main

if __name__ == "__main__":
    main()
