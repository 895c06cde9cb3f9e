"""`python -m corpus FOLDER`."""

from .make import main

main()
