"""`python -m carpet_data`."""

from carpet_data.cli import main

if __name__ == "__main__":
    main()
