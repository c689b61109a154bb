"""`python -m carpet_data.diagnosis` prints the table of problems as Markdown, for docs/doctor.md."""

import sys

from carpet_data.diagnosis.codes import TABLE

if __name__ == "__main__":
    sys.stdout.write(TABLE)
